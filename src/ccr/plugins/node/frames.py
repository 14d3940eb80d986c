"""One connection to the Node child: frames in and out (``frames.js`` is their description).

HTTP would do for whole bodies; but it cannot say in the middle of a stream whose error ended it, and its
parser costs more than all else here. Cancelling is closing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
HEADER_BYTES: Final = 5


class Frame(NamedTuple):
    """kind: ``J``, ``B``, ``D``, ``E``, ``H`` or ``X``."""

    kind: str
    data: bytes

    def json(self) -> Any:
        """Return the payload, decoded."""
        return msgspec.json.decode(self.data)


class FrameError(Exception):
    """The connection to the child broke, or cannot carry what it is given."""


class FrameSizeError(FrameError):
    """What was to be sent is larger than a frame may be; nothing was sent."""


class Connection:
    """One call: a head and what belongs to it goes out, an answer comes in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._header: bytes | None = None

    @classmethod
    async def open(cls, path: Path) -> Connection:
        """Connect. Raises FrameError."""
        try:
            return cls(*await asyncio.open_unix_connection(str(path)))
        except OSError as error:
            raise FrameError(str(error)) from error

    async def send(self, kind: str, data: bytes = b"") -> None:
        """Write one frame; waits while the child does not take it. Raises FrameError, FrameSizeError."""
        if len(data) > MAX_FRAME_BYTES:
            raise FrameSizeError(f"a body of {len(data)} bytes is too large for plugins ({MAX_FRAME_BYTES})")
        try:
            self._writer.write(kind.encode() + len(data).to_bytes(HEADER_BYTES - 1, "big"))
            if data:
                self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise FrameError("the connection broke") from error

    async def send_json(self, value: Any) -> None:
        """Write a head. Raises FrameError."""
        await self.send("J", msgspec.json.encode(value))

    async def read(self) -> Frame:
        """Return the next frame. Raises FrameError. Nothing is lost when it is cancelled."""
        try:
            if self._header is None:
                self._header = await self._reader.readexactly(HEADER_BYTES)
            size = int.from_bytes(self._header[1:], "big")
            if size > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {size} bytes")
            data = await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise FrameError("the connection broke") from error
        kind, self._header = chr(self._header[0]), None
        return Frame(kind, data)

    def close(self) -> None:
        """Cancel what is under way; always to be called, also after the end."""
        self._writer.transport.abort()
