"""Tool messages from the ``tool_result`` blocks of one user turn, keyed by the calls they answer.

A tool message carries text only. Images and documents in a result are lifted into the user message that
follows the tool messages, in the order of the calls, each announced by a text with the id of its call; a text
stands in its place in the result.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ccr.protocol.chat_content import (
    cache_mark,
    content_from_parts,
    is_blank,
    parts_from_block,
    parts_unless_blank,
    text_part,
)
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.anthropic import Block
    from ccr.protocol.openai import ChatMessage, ContentPart
    from ccr.protocol.traits import ModelTraits

ERROR_PREFIX = "[tool error] "
NO_OUTPUT = "(no output)"
INTERRUPTED = "[no result: the call was interrupted before it answered]"


class Call(NamedTuple):
    """A tool call of the assistant turn before: the id the client wrote, and the one that is sent."""

    client_id: str
    id: str


class UserTurn:
    """Collects one user turn: tool messages by call, the person's own parts, parts lifted out of results."""

    def __init__(self, calls: list[Call], traits: ModelTraits, rules: Rules) -> None:
        self._traits = traits
        self._rules = rules
        self._calls = calls
        self._waiting: dict[str, deque[str]] = {}
        for call in calls:
            self._waiting.setdefault(call.client_id, deque()).append(call.id)
        self._results: dict[str, ChatMessage] = {}
        self._own: list[ContentPart] = []
        self._lifted: dict[str, list[ContentPart]] = {}

    def add(self, block: Block) -> None:
        """Take one block of the turn."""
        if block.type != "tool_result":
            self._own += parts_from_block(block, self._traits, self._rules)
            return
        client_id = block.tool_use_id or ""
        waiting = self._waiting.get(client_id)
        if waiting:
            call_id = waiting.popleft()
            self._results[call_id] = self._tool_message(block, call_id)
        elif waiting is not None:
            self._rules.add(RequestRule.DUPLICATE_TOOL_RESULT_AS_TEXT)
            self._own += self._stray_parts(block, f"[another result of tool call {client_id}]")
        else:
            self._rules.add(RequestRule.ORPHAN_TOOL_RESULT_AS_TEXT)
            self._own += self._stray_parts(
                block, f"[result of tool call {client_id}, which is not in the conversation]"
            )

    def messages(self) -> list[ChatMessage]:
        """Return the tool messages in the order of the calls, then the user message if it has content."""
        messages = [self._results.get(call.id) or self._interrupted(call) for call in self._calls]
        parts = self._own.copy()
        for call in self._calls:
            parts += self._lifted.get(call.id, ())
        if parts:
            messages.append({"role": "user", "content": content_from_parts(parts, self._traits)})
        return messages

    def _interrupted(self, call: Call) -> ChatMessage:
        self._rules.add(RequestRule.MISSING_TOOL_RESULT_FILLED)
        return {"role": "tool", "tool_call_id": call.id, "content": INTERRUPTED}

    def _tool_message(self, block: Block, call_id: str) -> ChatMessage:
        said = block.content
        is_marked = block.is_error or block.cache_control is not None
        if isinstance(said, str) and not is_marked and not is_blank(said):
            return {"role": "tool", "tool_call_id": call_id, "content": said}  # by far the most
        texts = [self._text_or_note(part, call_id) for part in self._result_parts(block)]
        if not texts:
            texts = [self._no_output()]
        self._finish(texts, block)
        content = content_from_parts(texts, self._traits)
        return {"role": "tool", "tool_call_id": call_id, "content": content}

    def _stray_parts(self, block: Block, heading: str) -> list[ContentPart]:
        """Return a result that answers no call as parts of the user message."""
        parts = self._result_parts(block) or [self._no_output()]
        self._finish(parts, block)
        return [text_part(heading), *parts]

    def _result_parts(self, block: Block) -> list[ContentPart]:
        content = block.content
        if content is None or isinstance(content, str):
            return [text_part(content)] if content and not content.isspace() else []
        blocks = content if isinstance(content, list) else [content]
        return [part for each in blocks for part in parts_unless_blank(each, self._traits, self._rules)]

    def _text_or_note(self, part: ContentPart, call_id: str) -> ContentPart:
        """Return a text as it is; a note where an attachment is, which is lifted."""
        if part["type"] == "text":
            return part
        self._rules.add(RequestRule.TOOL_RESULT_ATTACHMENT_LIFTED)
        heading = text_part(f"[{_kind(part)} from the result of tool call {call_id}]")
        self._lifted.setdefault(call_id, []).extend((heading, part))
        return text_part(f"[{_kind(part)}: see the user message below]")

    def _no_output(self) -> ContentPart:
        self._rules.add(RequestRule.EMPTY_TOOL_RESULT_FILLED)
        return text_part(NO_OUTPUT)

    def _finish(self, parts: list[ContentPart], block: Block) -> None:
        """Mark the parts of a result as an error and as a cache breakpoint; there is no field for either."""
        if block.is_error:
            self._rules.add(RequestRule.TOOL_ERROR_AS_TEXT)
            if parts[0]["type"] == "text":
                parts[0]["text"] = ERROR_PREFIX + parts[0]["text"]
            else:
                parts.insert(0, text_part(ERROR_PREFIX.strip()))
        mark = cache_mark(block.cache_control, self._traits, self._rules)
        if mark is not None:
            parts[-1]["cache_control"] = mark


def _kind(part: ContentPart) -> str:
    return "image" if part["type"] == "image_url" else "document"
