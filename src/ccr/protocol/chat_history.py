"""Chat messages from Anthropic messages: calls paired with results, reasoning first, torn histories mended.

The endpoint's rules (databricks.md §2): every tool message directly follows the assistant message with its
call, all of them in one row; ids are unique; reasoning parts open the assistant's content; no text is
empty.

A conversation is converted in two pieces, up to the last assistant turn and what the user said since: the
first piece is remembered (history_memory.py), so that in a session only what is new is converted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccr.errors import RequestError
from ccr.protocol.anthropic import Block, InputMessage, checked_text, is_remembered
from ccr.protocol.chat_content import cache_mark, content_from_parts, parts_from_block
from ccr.protocol.chat_results import Call, UserTurn
from ccr.protocol.chat_turns import Turn, filled_turns, has_handled_history, spoken_turns
from ccr.protocol.history_memory import HISTORIES, History
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.openai import CacheControl, ChatMessage, ContentPart, ToolCall
    from ccr.protocol.traits import ModelTraits

_ALLOWED_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ALLOWED_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_FORBIDDEN_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
UNNAMED_TOOL = "unnamed_tool"
MAX_NAME_CHARS = 128


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

    def copy(self, rules: Rules) -> ToolIds:
        """Return the same ids, to go on with; rules: of what follows."""
        copied = ToolIds(rules)
        copied._sent = self._sent.copy()
        copied._seen = self._seen.copy()
        copied._last_number = self._last_number.copy()
        return copied

    def all(self) -> frozenset[str]:
        """Return every id of the conversation, as the client wrote it and as it is sent."""
        return frozenset(self._seen | self._sent)


def history_from_messages(
    messages: list[InputMessage], traits: ModelTraits, rules: Rules
) -> tuple[list[ChatMessage], frozenset[str]]:
    """Return the chat messages of a conversation, and the ids of its tool calls.

    The messages are shared with other requests of the conversation and never changed; the list is the
    caller's.
    """
    beginning = _beginning(messages, traits)
    whole = _continued(beginning, messages, traits) if beginning is not None else None
    if whole is None:
        whole = _converted(messages, traits)
    own = Rules()
    history = whole.chat + UserTurn(whole.calls, traits, own).messages()
    rules.add_all(whole.rules)
    rules.add_all(own)
    return history, whole.ids.all()


def _beginning(messages: list[InputMessage], traits: ModelTraits) -> History | None:
    """Return the conversation up to its last assistant message, None where it has to be looked at as a whole.

    Remembers it when the messages themselves are remembered: only then are they the same the next time.
    """
    count = len(messages)
    while count > 0 and messages[count - 1].role != "assistant":
        count -= 1
    if not 0 < count < len(messages):
        return None
    known = HISTORIES.beginning_of(messages, traits)
    if known is not None and len(known.messages) == count:
        return known
    first = messages[:count]
    beginning = _continued(known, first, traits) if known is not None else None
    if beginning is None:
        known, beginning = None, _converted(first, traits)
    if beginning.chat[-1]["role"] != "assistant":
        return None
    if is_remembered(messages, count):
        HISTORIES.put(beginning, traits, known)
    return beginning


def _converted(messages: list[InputMessage], traits: ModelTraits) -> History:
    """Return the history of messages of which nothing is known."""
    rules = Rules()
    turns = spoken_turns(messages, traits, rules)
    nothing = History([], [], [], ToolIds(rules), rules)
    return _with_turns(nothing, filled_turns(turns, messages, rules), messages, traits)


def _continued(before: History, messages: list[InputMessage], traits: ModelTraits) -> History | None:
    """Return the history of all messages, made from that of the first ones, which end with the assistant's.

    None where the first ones cannot be left as they are: what follows them has nothing of the user that may
    be sent, so that two turns of the assistant become one.
    """
    rules = Rules()
    rules.add_all(before.rules)
    new = messages[len(before.messages) :]
    turns = spoken_turns(new, traits, rules)
    if not turns or turns[0].role == "assistant":
        return None
    before = before._replace(ids=before.ids.copy(rules), rules=rules)
    return _with_turns(before, filled_turns(turns, new, rules), messages, traits)


def _with_turns(
    before: History, turns: list[Turn], messages: list[InputMessage], traits: ModelTraits
) -> History:
    """Return the history of all ``messages``, of which ``turns`` are new. Its rules and ids are before's."""
    ids, rules = before.ids, before.rules
    chat, calls = before.chat.copy(), before.calls
    for turn in turns:
        if turn.role == "assistant":
            message, calls = _assistant_message(turn, ids, traits, rules)
            chat.append(message)
        else:
            user_turn = UserTurn(calls, traits, rules)
            for block in turn.blocks:
                user_turn.add(block)
            chat += user_turn.messages()
            calls = []
    return History(messages, chat, calls, ids, rules)


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
    elif not _ALLOWED_NAME.fullmatch(name):
        rules.add(RequestRule.TOOL_USE_NAME_REPLACED)
        name = _FORBIDDEN_IN_ID.sub("_", name)[:MAX_NAME_CHARS]
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
