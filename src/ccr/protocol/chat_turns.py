"""Alternating turns from Anthropic messages; what may not be sent is dropped here, so no turn is empty.

Anthropic combines consecutive messages of one role; so does this module, because the results of one
assistant message may be spread over several user messages. ``role: "system"`` messages become reminders in
the user turn they touch: the one before them, or the one after when an assistant message comes before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ccr.protocol.anthropic import Block, InputMessage
from ccr.protocol.chat_content import is_blank
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

REMINDER_OPEN = "<system-reminder>"
REMINDER_CLOSE = "</system-reminder>"
FILLER = "(no content)"
"""Text of a user turn that has to be there although the client's had nothing that may be sent."""


class Turn(msgspec.Struct, gc=False):
    """What one side said until the other spoke: at least one block."""

    role: Literal["user", "assistant"]
    blocks: list[Block]


def spoken_turns(messages: list[InputMessage], traits: ModelTraits, rules: Rules) -> list[Turn]:
    """Return turns that alternate, of what may be sent; none where nothing may."""
    turns: list[Turn] = []
    previous_role = None
    for message in messages:
        kept = _kept_blocks(message, traits, rules)
        if not kept:
            rules.add(RequestRule.EMPTY_MESSAGE_DROPPED)
            continue
        if message.role == previous_role:
            rules.add(RequestRule.MESSAGES_MERGED)
        previous_role = message.role
        _append(turns, Turn("assistant" if message.role == "assistant" else "user", kept))
    return _without_thinking_only(turns, rules)


def filled_turns(turns: list[Turn], messages: list[InputMessage], rules: Rules) -> list[Turn]:
    """Return the turns of these messages so that they begin with the user's and end as the messages do.

    A user turn is made up where the client's first or last message has nothing in it that may be sent.
    """
    turns = turns.copy()
    if not turns or turns[0].role == "assistant":
        rules.add(RequestRule.USER_TURN_FILLED)
        turns.insert(0, _filled_turn())
    if turns[-1].role == "assistant" and messages[-1].role != "assistant":
        rules.add(RequestRule.USER_TURN_FILLED)
        turns.append(_filled_turn())
    return turns


def _filled_turn() -> Turn:
    return Turn("user", [Block("text", text=FILLER)])


def _append(turns: list[Turn], turn: Turn) -> None:
    """Add a turn. Blocks are lists of this module's own: they grow in place, linear for any conversation."""
    if turns and turns[-1].role == turn.role:
        turns[-1].blocks.extend(turn.blocks)
    else:
        turns.append(turn)


def _kept_blocks(message: InputMessage, traits: ModelTraits, rules: Rules) -> list[Block]:
    content = message.content
    blocks = [Block("text", text=content)] if isinstance(content, str) else content
    kept = [block for block in blocks if _is_kept(block, message.role, traits, rules)]
    if message.role == "system":
        rules.add(RequestRule.SYSTEM_MESSAGE_FOLDED)
        return [_reminder(block) for block in kept]
    return kept


def _is_kept(block: Block, role: str, traits: ModelTraits, rules: Rules) -> bool:
    if block.type == "text":
        if is_blank(block.text):
            rules.add(RequestRule.EMPTY_TEXT_DROPPED)
            return False
        return True
    if block.type in ("thinking", "redacted_thinking") and role == "assistant":
        if block.type == "thinking" and block.thinking and has_handled_history(traits):
            return True
        if traits.family != "claude" or not traits.thinking:
            rules.add(RequestRule.THINKING_HISTORY_DROPPED)
            return False
        if not (block.signature if block.type == "thinking" else block.data):
            rules.add(RequestRule.UNSIGNED_THINKING_DROPPED)
            return False
    return True


def has_handled_history(traits: ModelTraits) -> bool:
    """Whether thinking is written for a transformer to send, signed or not: the model takes none."""
    return "history" in traits.handled and (traits.family != "claude" or not traits.thinking)


def _reminder(block: Block) -> Block:
    """Return the block as a reminder, marked in the way the client marks its own."""
    if block.type != "text" or block.text is None or block.text.lstrip().startswith(REMINDER_OPEN):
        return block
    text = f"{REMINDER_OPEN}\n{block.text}\n{REMINDER_CLOSE}"
    return msgspec.structs.replace(block, text=text)


def _without_thinking_only(turns: list[Turn], rules: Rules) -> list[Turn]:
    """Return the turns without those that end in their thinking: the endpoint refuses them as messages."""
    if not any(_is_thinking_only(turn) for turn in turns):
        return turns
    rules.add(RequestRule.THINKING_ONLY_MESSAGE_DROPPED)
    kept: list[Turn] = []
    for turn in turns:
        if not _is_thinking_only(turn):
            _append(kept, turn)
    return kept


def _is_thinking_only(turn: Turn) -> bool:
    return turn.role == "assistant" and all(
        block.type in ("thinking", "redacted_thinking") for block in turn.blocks
    )
