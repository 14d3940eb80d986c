"""Prompt caching for Claude, which has to be told where; clients of the Responses API know it as automatic.

A conversation is sent whole with every turn, and on Claude what is not cached is paid for whole
(databricks.md §0). So two breakpoints are set, as Claude Code sets them: behind the system message, and
behind the last message, where the next turn goes on. A single question without tools gets none: nobody asks
it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ContentPart

_MARKED = frozenset({"text", "image_url", "file"})


def with_cache_marks(
    messages: list[ChatMessage], *, has_tools: bool, rules: ResponsesRules
) -> list[ChatMessage]:
    """Return the messages with breakpoints, if they are those of a conversation that goes on."""
    if not has_tools and all(message["role"] != "assistant" for message in messages):
        return messages
    places = {len(messages) - 1} | ({0} if messages[0]["role"] == "system" else set())
    marked = [_marked(each) if index in places else each for index, each in enumerate(messages)]
    if any(new is not old for new, old in zip(marked, messages, strict=True)):
        rules.add(ResponsesRule.CACHE_CONTROL_ADDED)
    return marked


def _marked(message: ChatMessage) -> ChatMessage:
    """Return a message with a breakpoint on its last part; as it is, where that cannot have one."""
    content = message.get("content")
    text: list[ContentPart] = [{"type": "text", "text": content}] if isinstance(content, str) else []
    parts = content if isinstance(content, list) else text
    if message["role"] == "assistant" or not parts or parts[-1]["type"] not in _MARKED:
        return message
    last: ContentPart = {**parts[-1], "cache_control": {"type": "ephemeral"}}
    return {**message, "content": [*parts[:-1], last]}
