"""Where events end in a stream that is relayed: cuts reads at empty lines, and nothing else.

What the events say is for sse.Decoder; this module only keeps an event's bytes together, byte for byte.
Rules as there: lines end with LF, CRLF or CR. A CR at the end of a read may be half a line end: it decides
nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccr.errors import ProtocolError
from ccr.protocol.sse import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMPTY_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r(?!\Z))")
_OVERLAP_BYTES: Final = 3
"""The longest beginning of an empty line (CR LF CR LF) that is none yet."""


def frames(whole: bytes) -> Iterator[bytes]:
    """Yield what a framer let out, one event (or comment) at a time, each with its empty line."""
    start = 0
    for match in _EMPTY_LINE.finditer(whole):
        yield whole[start : match.end()]
        start = match.end()
    if start < len(whole):
        yield whole[start:]


class Framer:
    """One stream's framer; feed it every read in order.

    max_event_bytes: an event larger than this is a ProtocolError.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._overlap = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is whole of the bytes held back and ``data``; ``data`` itself when that is all of it.

        Raises ProtocolError when an event is too large.
        """
        if not self._held and data.endswith(b"\n\n"):
            return data
        end = self._end_of_events(data)
        if end is None:
            self._hold(data)
            return b""
        whole = self.rest() + data[:end]
        self._hold(data[end:])
        return whole

    def close(self) -> bytes:
        """Return the last event if only the empty line's last byte was in doubt; b"" otherwise."""
        return self.feed(b"\n") if self._overlap.endswith(b"\r") else b""

    def rest(self) -> bytes:
        """Return what is held back, the beginning of an event without its end; nothing is held any more."""
        held = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        self._overlap = b""
        return held

    def _end_of_events(self, data: bytes) -> int | None:
        """Return where in ``data`` the last empty line ends, None where there is none."""
        joined = self._overlap + data
        end = 0
        if b"\r" in joined:
            for match in _EMPTY_LINE.finditer(joined):
                end = match.end()
        elif b"\n\n" in joined:
            end = joined.rfind(b"\n\n") + 2
        if end or not self._held:  # line ends between events belong to nothing
            while joined[end : end + 1] in (b"\r", b"\n"):
                end += 1
        return end - len(self._overlap) if end else None

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._held_bytes += len(data)
            self._overlap = (self._overlap + data)[-_OVERLAP_BYTES:]
        if self._held_bytes > self._max_event_bytes:
            raise ProtocolError(f"an event of the stream is larger than {self._max_event_bytes} bytes")
