"""Whether bytes are UTF-8, without looking again at what was looked at a moment ago.

A client sends its conversation again with every turn: nearly all bytes of a request are those of the one
before, at its start and, behind what is new, at its end. Comparing bytes is thirty times as fast as decoding
them. A memory and nothing else: the same bytes are taken and refused with and without it.
"""

from __future__ import annotations

from typing import Final

from ccr.protocol.anthropic import checked_text
from ccr.protocol.tool_memory import MAX_ENTRY_BYTES

MAX_KNOWN: Final = 4
_PIECE: Final = 4096
_LONGEST_CHARACTER: Final = 4
_CONTINUATION: Final = range(0x80, 0xC0)
"""Bytes at which no character begins."""


class CheckedText:
    """Checks bodies, and remembers the last few that were good."""

    def __init__(self, max_known: int = MAX_KNOWN) -> None:
        self._max_known = max_known
        self._known: list[bytes] = []

    def check(self, data: bytes) -> None:
        """Raise RequestError (400) unless the bytes are UTF-8."""
        if data.isascii():
            return
        start, known = 0, b""
        for each in self._known:
            common = _common_start(data, each)
            if common > start:
                start, known = common, each
        if start == len(data) == len(known):
            return
        end = _common_end(data, known, start)
        _check_pieces(data, _character_start(data, start - _LONGEST_CHARACTER), end)
        if len(data) <= MAX_ENTRY_BYTES:
            others = [each for each in self._known if each is not known]
            self._known = [data, *others[: self._max_known - 1]]


def _common_start(data: bytes, known: bytes) -> int:
    """Return how many bytes are the same from the start, in whole pieces or all of them."""
    if data == known:
        return len(data)
    at = 0
    most = min(len(data), len(known)) - _PIECE
    while at <= most and data[at : at + _PIECE] == known[at : at + _PIECE]:
        at += _PIECE
    return at


def _common_end(data: bytes, known: bytes, start: int) -> int:
    """Return where the bytes begin that both end with, in whole pieces; not before ``start`` in either."""
    at, by = len(data), len(known) - len(data)
    while at - _PIECE >= start and at + by - _PIECE >= start:
        if data[at - _PIECE : at] != known[at + by - _PIECE : at + by]:
            break
        at -= _PIECE
    while at < len(data) and data[at] in _CONTINUATION:
        at += 1
    return at


def _character_start(data: bytes, at: int) -> int:
    at = max(at, 0)
    while at > 0 and data[at] in _CONTINUATION:
        at -= 1
    return at


def _check_pieces(data: bytes, start: int, end: int) -> None:
    """Decode what is not ASCII, piece by piece: most of a long conversation is, but for a few signs."""
    while start < end:
        cut = min(start + _PIECE, end)
        while start < cut < end and data[cut] in _CONTINUATION:
            cut -= 1
        piece = data[start:cut] or data[start:end]
        if not piece.isascii():
            checked_text(piece)
        start += len(piece)
