"""The conversation as the native endpoint takes it; a message nobody has to touch stays the client's bytes.

``role: "system"`` messages are folded in place, as reminders at the end of the user message before them (or
in the one after them, behind its tool results, when an assistant message comes before). Moving them to the
top of the request would change the cached prefix with every turn.
Messages of one role become one only where ccr took out what stood between them: the endpoint combines the
others itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.chat_turns import FILLER, REMINDER_CLOSE, REMINDER_OPEN
from ccr.protocol.message_memory import MessageMemory
from ccr.protocol.native_blocks import (
    TEXT,
    THINKING_TYPES,
    TOOL_RESULT,
    BlockSanitizer,
    block_type,
    text_block,
)
from ccr.protocol.native_json import OBJECTS, STRING, JsonObject, decoded, first_byte
from ccr.protocol.native_rules import NativeRule, NativeRules
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.traits import ModelTraits

MAX_TRAITS: Final = 16
_ROLES: Final = {b'"user"': "user", b'"assistant"': "assistant", b'"system"': "system"}
_QUOTE: Final = ord('"')


class Turn(msgspec.Struct, gc=False):
    """One message that is sent.

    role: ``user`` or ``assistant``. blocks: its content. source: the client's message where it can be sent
    as it is, None where it is made from ``blocks``.
    """

    role: str
    blocks: list[JsonObject]
    source: JsonObject | None

    @property
    def has_tool_result(self) -> bool:
        """Whether a block is the result of a tool."""
        return any(block_type(block) == TOOL_RESULT for block in self.blocks)

    @property
    def is_thinking_only(self) -> bool:
        """Whether the assistant said nothing but its thoughts."""
        return (
            self.role == "assistant"
            and block_type(self.blocks[-1]) in THINKING_TYPES
            and all(block_type(block) in THINKING_TYPES for block in self.blocks)
        )

    @property
    def has_thinking_first(self) -> bool:
        """Whether the message begins with thinking."""
        return bool(self.blocks) and block_type(self.blocks[0]) in THINKING_TYPES

    def as_json(self) -> Mapping[str, object]:
        """Return the message to send."""
        return self.source or {"role": self.role, "content": self.blocks}


def turns_from_messages(
    messages: list[JsonObject], sanitizer: BlockSanitizer, rules: NativeRules
) -> list[Turn]:
    """Return the messages to send. Raises RequestError on what is no message."""
    conversation = _Conversation(rules)
    role = ""
    for index, seen in enumerate(_seen(messages, sanitizer)):
        role = seen.role
        rules.add_all(seen.rules)
        sanitizer.has_attachments |= seen.has_attachments
        sanitizer.has_thinking |= seen.has_thinking
        if role == "system":
            conversation.remind([_reminder(block) for block in seen.blocks])
        else:
            conversation.add(Turn(role, seen.blocks, messages[index] if seen.is_as_given else None))
    return conversation.end(last_role=role)


class _Seen(NamedTuple):
    """What became of one message for the models of some traits. is_as_given: it can be sent as it is."""

    role: str
    blocks: list[JsonObject]
    is_as_given: bool
    rules: NativeRules
    has_attachments: bool
    has_thinking: bool


@lru_cache(maxsize=MAX_TRAITS)
def _memory_for(traits: ModelTraits) -> MessageMemory[_Seen]:  # noqa: ARG001 - one for each, by the cache
    return MessageMemory()


def _seen(messages: list[JsonObject], sanitizer: BlockSanitizer) -> list[_Seen]:
    """Return what becomes of each message alone; those of the request before are not looked at again."""
    traits = sanitizer.traits

    def look(_written: bytes, index: int) -> _Seen:
        message = messages[index]
        role = _role(message, index)
        rules = NativeRules()
        own = BlockSanitizer(traits, rules)
        # a copy: what is remembered must not hold the whole request
        turn = _turn(role, {**message, "content": message["content"].copy()}, index, own, rules)
        is_as_given = turn.source is not None
        return _Seen(role, turn.blocks, is_as_given, rules, own.has_attachments, own.has_thinking)

    return _memory_for(traits).decoded([_key(message) for message in messages], look)


def _key(message: JsonObject) -> bytes:
    """Return what decides about a message: its role, its content, and that it has nothing else."""
    if len(message) == len(("role", "content")) and "role" in message and "content" in message:
        return b"%b:%b" % (message["role"], message["content"])
    return msgspec.json.encode(message)


class _Conversation:
    """Puts turns in a row: folds reminders in, leaves empty turns out, merges what then touches."""

    def __init__(self, rules: NativeRules) -> None:
        self._rules = rules
        self._turns: list[Turn] = []
        self._reminders: list[JsonObject] = []
        """Reminders that wait for the user message behind them."""
        self._has_gap = False
        """Whether something was taken out since the last turn."""

    def remind(self, reminders: list[JsonObject]) -> None:
        """Fold the blocks of a system message in."""
        self._rules.add(RequestRule.SYSTEM_MESSAGE_FOLDED)
        self._has_gap = True
        if self._turns and self._turns[-1].role == "user" and reminders:
            last = self._turns[-1]
            self._turns[-1] = Turn("user", last.blocks + reminders, None)
        else:
            self._reminders += reminders

    def add(self, turn: Turn) -> None:
        """Take the next message."""
        if not turn.blocks:
            self._rules.add(RequestRule.EMPTY_MESSAGE_DROPPED)
            self._has_gap = True
            return
        if turn.is_thinking_only:
            self._rules.add(RequestRule.THINKING_ONLY_MESSAGE_DROPPED)
            self._has_gap = True
            return
        if self._reminders:
            turn = self._after_reminders(turn)
        last = self._turns[-1] if self._turns else None
        if self._has_gap and last is not None and last.role == turn.role:
            self._rules.add(RequestRule.MESSAGES_MERGED)
            self._turns[-1] = Turn(turn.role, _results_first(last.blocks + turn.blocks), None)
        else:
            self._turns.append(turn)
        self._has_gap = False

    def end(self, *, last_role: str) -> list[Turn]:
        """Return all turns; the conversation begins with the user's, and ends as the client's did.

        ``last_role``: role of the client's last message.
        """
        if self._reminders:
            self._turns.append(Turn("user", self._reminders, None))
        turns = self._turns
        if not turns or turns[0].role == "assistant":
            turns = [self._filled_turn(), *turns]
        if turns[-1].role == "assistant" and last_role != "assistant":
            turns = [*turns, self._filled_turn()]
        return turns

    def _after_reminders(self, turn: Turn) -> Turn:
        """Return the turn with the waiting reminders before what the person says in it."""
        reminders, self._reminders = self._reminders, []
        if turn.role == "user":
            return Turn("user", _results_first(reminders + turn.blocks), None)
        self._turns.append(Turn("user", reminders, None))
        return turn

    def _filled_turn(self) -> Turn:
        self._rules.add(RequestRule.USER_TURN_FILLED)
        return Turn("user", [text_block(FILLER)], None)


def tool_loop_start(turns: list[Turn]) -> int | None:
    """Return the index of the assistant message that began the tool loop still going on; None without a loop.

    A user message that holds a result continues the loop, whatever else is in it.
    """
    start = None
    index = len(turns) - 1
    while index > 0 and turns[index].has_tool_result and turns[index - 1].role == "assistant":
        start = index - 1
        index -= 2
    return start


def without_thinking(turns: list[Turn], start: int, rules: NativeRules) -> list[Turn]:
    """Return the conversation with no thinking from ``start`` on, for a request with thinking off."""
    result = turns[:start]
    for turn in turns[start:]:
        kept = [block for block in turn.blocks if block_type(block) not in THINKING_TYPES]
        if len(kept) < len(turn.blocks):
            rules.add(RequestRule.THINKING_HISTORY_DROPPED)
            result.append(Turn(turn.role, kept, None))
        else:
            result.append(turn)
    return result


def _role(message: JsonObject, index: int) -> str:
    given = message.get("role")
    if given is None or "content" not in message:
        missing = "role" if given is None else "content"
        raise RequestError(f"messages.{index}.{missing}: Field required")
    role = _ROLES.get(bytes(given))
    if role is None:
        role = decoded(STRING, given, "messages", index, "role")
        if role not in _ROLES.values():
            raise RequestError(f"messages.{index}.role: unexpected value '{role}'")
    return role


def _turn(role: str, message: JsonObject, index: int, sanitizer: BlockSanitizer, rules: NativeRules) -> Turn:
    content = message["content"]
    is_changed = len(message) > len(("role", "content"))
    if is_changed:
        rules.add(NativeRule.MESSAGE_FIELDS_DROPPED)
    if first_byte(content) == _QUOTE:
        given = [{"type": Raw(TEXT), "text": content}]
    else:
        given = decoded(OBJECTS, content, "messages", index, "content")
    blocks, has_other_blocks = sanitizer.blocks(given, "messages", index, "content")
    return Turn(role, blocks, None if is_changed or has_other_blocks else message)


def _reminder(block: JsonObject) -> JsonObject:
    """Return the block as a reminder, marked as the client marks its own; the text's bytes stay the same."""
    if block_type(block) != TEXT:
        return block
    if STRING.decode(block["text"]).lstrip().startswith(REMINDER_OPEN):
        return block
    marked = b'"%b\\n%b\\n%b"' % (REMINDER_OPEN.encode(), bytes(block["text"])[1:-1], REMINDER_CLOSE.encode())
    return {**block, "text": Raw(marked)}


def _results_first(blocks: list[JsonObject]) -> list[JsonObject]:
    """Return the blocks with tool results at the front, where the endpoint demands them."""
    return sorted(blocks, key=lambda block: block_type(block) != TOOL_RESULT)
