"""The tool lists seen last, decoded: a client sends the same one, half of its request, turn after turn.

A memory and nothing else: the same bytes give the same values with and without it. Entries are found by
comparing bytes (a microsecond for 50 KB), the newest first. What is handed out is shared and never changed.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MAX_ENTRIES: Final = 8
MAX_ENTRY_BYTES: Final = 512 * 1024

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """The last few values by key; keys are compared, not hashed."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: list[tuple[Key, Value]] = []

    def get(self, key: Key) -> Value | None:
        """Return the value remembered for ``key``, None when there is none."""
        for known, value in self._entries:
            if known == key:
                return value
        return None

    def put(self, key: Key, value: Value) -> None:
        """Remember a value; the oldest one is forgotten when there are too many."""
        self._entries = [(key, value), *self._entries[: self._max_entries - 1]]
