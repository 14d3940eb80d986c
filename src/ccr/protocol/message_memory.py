"""The messages seen last, decoded: a client sends its whole conversation again with every turn.

A memory and nothing else: the same bytes give the same values with and without it. Messages are compared by
their place and their bytes (some microseconds for a whole conversation); what follows the first that differs
is decoded. What is handed out is shared and never changed. Each message is copied before it is decoded, so
that no opaque part of it keeps the whole request in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from msgspec import Raw

MAX_CONVERSATIONS: Final = 4
MAX_CONVERSATION_BYTES: Final = 1024 * 1024

Message = TypeVar("Message")


class _Conversation(NamedTuple, Generic[Message]):
    written: list[bytes]
    messages: list[Message]


class MessageMemory(Generic[Message]):
    """Decodes the messages of conversations. decode: makes one of its JSON, told its index for errors."""

    def __init__(self, decode: Callable[[bytes, int], Message], max_known: int = MAX_CONVERSATIONS) -> None:
        self._decode = decode
        self._max_known = max_known
        self._known: list[_Conversation[Message]] = []

    def decoded(self, given: Sequence[Raw]) -> list[Message]:
        """Return the messages. Raises what ``decode`` raises, for the first that is none."""
        written = [bytes(message) for message in given]
        known, same = None, 0
        for each in self._known:
            count = _same_start(written, each.written)
            if count > same:
                known, same = each, count
        messages = known.messages[:same] if known is not None else []
        messages += [self._decode(written[index], index) for index in range(same, len(written))]
        if sum(map(len, written)) <= MAX_CONVERSATION_BYTES:
            if known is not None:  # the very bytes, so that those of the request can go
                written[:same] = known.written[:same]
            others = [each for each in self._known if each is not known]
            self._known = [_Conversation(written, messages), *others[: self._max_known - 1]]
        return messages.copy()


def _same_start(first: list[bytes], second: list[bytes]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
