"""The conversations converted last: a client sends its whole history again with every turn.

A memory and nothing else: the same messages give the same history with and without it; only the order in
which rules are named may differ. A conversation is found by the identity of its messages, which
`message_memory.py` gives to those that were there before, and is remembered up to the end of an assistant
turn, where nothing that follows can change what came before. Messages are remembered as they are written as
well. What is handed out is shared and never changed.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from ccr.protocol.anthropic import InputMessage
    from ccr.protocol.chat_history import ToolIds
    from ccr.protocol.chat_results import Call
    from ccr.protocol.openai import ChatMessage
    from ccr.protocol.request_rules import Rules
    from ccr.protocol.traits import ModelTraits

MAX_HISTORIES: Final = 4

_encode = msgspec.json.Encoder().encode


class History(NamedTuple):
    """What became of the first messages of a conversation.

    calls: those of the last message, whose results may follow. ids: of all calls. rules: applied to these
    messages.
    """

    messages: list[InputMessage]
    chat: list[ChatMessage]
    calls: list[Call]
    ids: ToolIds
    rules: Rules


class _Known(NamedTuple):
    traits: ModelTraits
    history: History
    written: list[Raw]


class HistoryMemory:
    """The beginnings of a few conversations, newest first."""

    def __init__(self, max_known: int = MAX_HISTORIES) -> None:
        self._max_known = max_known
        self._known: list[_Known] = []
        self._written: dict[int, Raw] = {}

    def beginning_of(self, messages: list[InputMessage], traits: ModelTraits) -> History | None:
        """Return the longest beginning of a conversation that is remembered for these traits."""
        found: History | None = None
        for known in self._known:
            history = known.history
            count = len(history.messages)
            if found is not None and count <= len(found.messages):
                continue
            if (
                count <= len(messages)
                and all(map(is_, history.messages, messages))
                and known.traits == traits
            ):
                found = history
        return found

    def put(self, history: History, traits: ModelTraits, before: History | None) -> None:
        """Remember a beginning, in the place of the shorter one it goes on from."""
        written: list[Raw] = []
        others = self._known
        for known in self._known:
            if known.history is before:
                written = known.written
                others = [each for each in self._known if each is not known]
        written = written + [Raw(_encode(message)) for message in history.chat[len(written) :]]
        self._known = [_Known(traits, history, written), *others[: self._max_known - 1]]
        self._written = {
            id(message): text
            for known in self._known
            for message, text in zip(known.history.chat, known.written, strict=True)
        }

    def written(self, messages: list[ChatMessage]) -> list[ChatMessage | Raw]:
        """Return the messages, those that are remembered as their JSON.

        A message counts by its identity: those remembered are alive, so that no other has theirs.
        """
        known = self._written
        return [known.get(id(message), message) for message in messages]


HISTORIES: Final = HistoryMemory()
