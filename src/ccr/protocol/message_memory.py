"""The messages seen last, decoded: a client sends its whole conversation again with every turn.

A memory and nothing else: the same bytes give the same values with and without it. Messages are compared by
their place and their bytes (some microseconds for a whole conversation); what follows the first that differs
is decoded. What is handed out is shared and never changed. Each message is copied before it is decoded, so
that no opaque part of it keeps the whole request in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONVERSATIONS: Final = 4
MAX_CONVERSATION_BYTES: Final = 1024 * 1024

Message = TypeVar("Message")


class _Conversation(NamedTuple, Generic[Message]):
    written: list[bytes]
    messages: list[Message]


class MessageMemory(Generic[Message]):
    """Decodes the messages of conversations, each once."""

    def __init__(self, max_known: int = MAX_CONVERSATIONS) -> None:
        self._max_known = max_known
        self._known: list[_Conversation[Message]] = []

    def decoded(self, written: list[bytes], decode: Callable[[bytes, int], Message]) -> list[Message]:
        """Return the messages. written: the bytes of each, which nothing else holds.

        decode: makes a message of its bytes, told its index for errors. Raises what it raises, for the first
        that is none.
        """
        known, same = None, 0
        for each in self._known:
            count = _same_start(written, each.written)
            if count > same:
                known, same = each, count
        messages = known.messages[:same] if known is not None else []
        messages += [decode(written[index], index) for index in range(same, len(written))]
        if sum(map(len, written)) <= MAX_CONVERSATION_BYTES:
            if known is not None:  # the same objects, so that the new copies can go
                written = known.written[:same] + written[same:]
            others = [each for each in self._known if each is not known]
            self._known = [_Conversation(written, messages), *others[: self._max_known - 1]]
        return messages.copy()

    def holds(self, messages: list[Message], count: int) -> bool:
        """Whether the first ``count`` of these messages are what was handed out last, and will be again."""
        if not self._known:
            return False
        latest = self._known[0].messages
        return len(latest) >= count and latest[count - 1] is messages[count - 1]


def _same_start(first: list[bytes], second: list[bytes]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
