"""Chat messages from Anthropic messages: calls paired with results, reasoning first, torn histories mended.

The endpoint's rules (databricks.md §2): every tool message directly follows the assistant message with its
call, all of them in one row; ids are unique; reasoning parts open the assistant's content; no text is
empty.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccr.errors import RequestError
from ccr.protocol.anthropic import Block, InputMessage, checked_text
from ccr.protocol.chat_content import cache_mark, content_from_parts, parts_from_block
from ccr.protocol.chat_results import Call, UserTurn
from ccr.protocol.chat_turns import Turn, has_handled_history, turns_from_messages
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.openai import CacheControl, ChatMessage, ContentPart, ToolCall
    from ccr.protocol.traits import ModelTraits

_ALLOWED_ID = re.compile(r"[a-zA-Z0-9_-]+")
_FORBIDDEN_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
UNNAMED_TOOL = "unnamed_tool"


class ToolIds:
    """Gives each call of a conversation an id of its own: the client's where that is possible."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sent: set[str] = set()
        self._seen: set[str] = set()
        self._last_number: dict[str, int] = {}

    def sent_id(self, client_id: str) -> str:
        """Return the id to send for one more call; a repeated or malformed id is renamed."""
        self._seen.add(client_id)
        if client_id not in self._sent and _ALLOWED_ID.fullmatch(client_id):
            self._sent.add(client_id)
            return client_id
        self._rules.add(RequestRule.TOOL_USE_ID_RENAMED)
        base = _FORBIDDEN_IN_ID.sub("_", client_id) or "toolu"
        new = base
        while new in self._sent:
            number = self._last_number.get(base, 1) + 1
            self._last_number[base] = number
            new = f"{base}_{number}"
        self._sent.add(new)
        return new

    def all(self) -> frozenset[str]:
        """Return every id of the conversation, as the client wrote it and as it is sent."""
        return frozenset(self._seen | self._sent)


def history_from_messages(
    messages: list[InputMessage], traits: ModelTraits, rules: Rules
) -> tuple[list[ChatMessage], frozenset[str]]:
    """Return the chat messages of a conversation, and the ids of its tool calls."""
    ids = ToolIds(rules)
    history: list[ChatMessage] = []
    calls: list[Call] = []
    for turn in turns_from_messages(messages, traits, rules):
        if turn.role == "assistant":
            message, calls = _assistant_message(turn, ids, traits, rules)
            history.append(message)
        else:
            user_turn = UserTurn(calls, traits, rules)
            for block in turn.blocks:
                user_turn.add(block)
            history += user_turn.messages()
            calls = []
    history += UserTurn(calls, traits, rules).messages()
    return history, ids.all()


def _assistant_message(
    turn: Turn, ids: ToolIds, traits: ModelTraits, rules: Rules
) -> tuple[ChatMessage, list[Call]]:
    reasoning: list[ContentPart] = []
    parts: list[ContentPart] = []
    calls: list[Call] = []
    tool_calls: list[ToolCall] = []
    mark: CacheControl | None = None
    for block in turn.blocks:
        if block.type == "tool_use":
            call = Call(block.id or "", ids.sent_id(block.id or ""))
            calls.append(call)
            tool_calls.append(_tool_call(block, call.id, rules))
            mark = cache_mark(block.cache_control, traits, rules) or mark
        elif block.type in ("thinking", "redacted_thinking"):
            reasoning.append(_reasoning_part(block))
        else:
            parts += _assistant_parts(block, traits, rules)
    if mark is not None:
        _move_mark(mark, parts, rules)
    message: ChatMessage = {"role": "assistant"}
    if reasoning and has_handled_history(traits):
        thought = [block for block in turn.blocks if block.type == "thinking"]
        text = "\n\n".join(block.thinking or "" for block in thought)
        message["thinking"] = {"content": text, "signature": thought[-1].signature or ""}
        reasoning = []
    if reasoning or parts:
        message["content"] = content_from_parts(reasoning + parts, traits)
    if tool_calls:
        message["tool_calls"] = tool_calls
    return message, calls


def _assistant_parts(block: Block, traits: ModelTraits, rules: Rules) -> list[ContentPart]:
    """Return text parts; an assistant message takes nothing else."""
    if block.type in ("image", "document", "tool_result"):
        block = Block(f"{block.type} in an assistant message", content=block.content, title=block.title)
    return parts_from_block(block, traits, rules)


def _move_mark(mark: CacheControl, parts: list[ContentPart], rules: Rules) -> None:
    """Set a tool call's cache breakpoint on the text before it: a call itself has no place for one."""
    if parts:
        rules.add(RequestRule.CACHE_CONTROL_MOVED)
        parts[-1]["cache_control"] = mark
    else:
        rules.add(RequestRule.CACHE_CONTROL_DROPPED)


def _tool_call(block: Block, call_id: str, rules: Rules) -> ToolCall:
    arguments = checked_text(block.input)
    if arguments in ("", "null"):
        arguments = "{}"
    if not arguments.startswith("{"):
        raise RequestError(f"messages: tool_use {block.id}: input: Input should be a valid object")
    name = block.name
    if not name:
        rules.add(RequestRule.TOOL_USE_NAME_FILLED)
        name = UNNAMED_TOOL
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _reasoning_part(block: Block) -> ContentPart:
    """Return thinking as Databricks returned it, verbatim: its signature covers every character."""
    if block.type == "redacted_thinking":
        return {
            "type": "reasoning",
            "summary": [{"type": "summary_encrypted_text", "data": block.data or ""}],
        }
    return {
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": block.thinking or "", "signature": block.signature or ""}
        ],
    }
