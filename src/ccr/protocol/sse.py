"""The one decoder of server-sent events: bytes in, whole events out, correct at any cut.

Rules (WHATWG HTML, "Server-sent events"): lines end with LF, CRLF or CR; a line that begins with ``:`` is a
comment; ``data`` lines of one event are joined with LF; one space after the colon is dropped; a blank line
ends the event; an event without data is not one. ``id`` and ``retry`` mean nothing for answers that cannot
be resumed.

Line ends are made LF first (a CR at the end of one read and the LF at the start of the next are one line
end), then an event ends at the first empty line. An event that has not ended is kept in pieces and only
joined when its end arrives: a large event in small reads costs linear time.

This module does not know what the data means, with one exception: ``[DONE]`` (see ``Decoder.close``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ccr.errors import ProtocolError

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
DONE: Final = b"[DONE]"
_BOM: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name ("" when the stream named none) and its data."""

    event: str
    data: bytes


class Decoder:
    """One stream's decoder; feed it every read in order.

    max_event_bytes: an event larger than this is a ``ProtocolError``. Events before it are still returned:
    the error is raised by the call that has no event to return, so that the same bytes give the same result
    however they were cut.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._ended_with_cr = False
        self._is_at_start = True
        self._is_oversize = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ended within ``data``. Raises ProtocolError when an event is too large."""
        if self._is_oversize:
            raise self._oversize()
        if self._ended_with_cr or b"\r" in data:
            data = self._with_lf(data)
        if not data:
            return []
        pieces = self._pieces
        if pieces:
            straddles = data[0] == 10 and pieces[-1][-1] == 10  # LF | LF
            if not straddles and b"\n\n" not in data:
                return self._keep(data)
            data = b"".join((*pieces, data))
            self._pieces = []
            self._pieces_bytes = 0
        end = data.rfind(b"\n\n")
        if end < 0:
            return self._keep(data)
        events = self._events(data[:end].split(b"\n\n"))
        if end + 2 < len(data) and not self._is_oversize:
            rest = data[end + 2 :]
            self._hold(rest)
        return self._returned(events)

    def close(self) -> list[Event]:
        """Return what the end of the stream completes.

        An event that was not ended by an empty line may have been cut, so it is not one; only ``[DONE]``,
        which cannot be mistaken and which some upstreams send without an empty line, is. Raises
        ProtocolError like ``feed``.
        """
        if self._is_oversize:
            raise self._oversize()
        rest = b"".join(self._pieces)
        self._pieces = []
        event = self._event(rest)
        return [event] if event is not None and event.data.strip() == DONE else []

    def _with_lf(self, data: bytes) -> bytes:
        if self._ended_with_cr and data[:1] == b"\n":
            data = data[1:]
            self._ended_with_cr = False
        if data:
            self._ended_with_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, data: bytes) -> list[Event]:
        self._hold(data)
        return self._returned([])

    def _hold(self, data: bytes) -> None:
        self._pieces.append(data)
        self._pieces_bytes += len(data)
        # A line end that may be the first half of the empty line is not yet part of the event.
        if self._pieces_bytes - (data[-1] == 10) > self._max_event_bytes:
            self._is_oversize = True
            self._pieces = []

    def _returned(self, events: list[Event]) -> list[Event]:
        if self._is_oversize and not events:
            raise self._oversize()
        return events

    def _events(self, blocks: list[bytes]) -> list[Event]:
        events = []
        for block in blocks:
            if len(block) > self._max_event_bytes:
                self._is_oversize = True
                break
            event = self._event(block)
            if event is not None:
                events.append(event)
        return events

    def _event(self, block: bytes) -> Event | None:
        if self._is_at_start and block:
            self._is_at_start = False
            block = block.removeprefix(_BOM)
        if b"\n" not in block and block.startswith(b"data: "):
            data = block[6:]
            return Event("", data) if data else None
        return _event_from_lines(block)

    def _oversize(self) -> ProtocolError:
        return ProtocolError(f"an event of the stream is larger than {self._max_event_bytes} bytes")


def _event_from_lines(block: bytes) -> Event | None:
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    joined = b"\n".join(data)
    return Event(name.decode("utf-8", "replace"), joined) if joined else None
