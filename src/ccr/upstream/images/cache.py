"""A memory of bounded size: what was used longest ago goes first. Knows nothing of what it holds."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

ENTRY_BYTES = 256
"""Counted for every entry on top of its size, so that tiny ones are bounded too."""


class BoundedCache(Generic[Key, Value]):
    """Values by key, as many as fit into ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._held_bytes = 0

    def get(self, key: Key) -> Value | None:
        """Return the value, which counts as used now; None when there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> None:
        """Hold the value in place of an earlier one; one that is too large alone is not held."""
        _, earlier_bytes = self._entries.pop(key, (None, 0))
        size_bytes += ENTRY_BYTES
        self._held_bytes += size_bytes - earlier_bytes
        self._entries[key] = (value, size_bytes)
        while self._held_bytes > self._max_bytes:
            _, (_, freed_bytes) = self._entries.popitem(last=False)
            self._held_bytes -= freed_bytes

    def __len__(self) -> int:
        return len(self._entries)
