"""A client at the level of bytes: sends what a test writes, reads whole answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.server.service import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def head(self) -> Answered:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        assert len(headers) == len(pairs), "a header was sent twice"
        return Answered(int(head[0].split(" ")[1]), headers, b"")

    async def answer(self) -> Answered:
        """Read one answer. Every one is checked for what all answers must have and must not have."""
        async with asyncio.timeout(10):
            answered = await self.head()
            if answered.headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readline(), 16):
                    answered.body += await self.reader.readexactly(size)
                    await self.reader.readexactly(2)
                await self.reader.readexactly(2)
            elif "content-length" in answered.headers:
                answered.body = await self.reader.readexactly(int(answered.headers["content-length"]))
        assert not [name for name in answered.headers if name.startswith("access-control-")]
        assert answered.headers["request-id"] == answered.headers["x-request-id"] != ""
        return answered

    async def is_closed(self) -> bool:
        """Wait for the other side to close; nothing more may come."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True


@contextlib.asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def request(
    port: int,
    target: str = "/v1/messages",
    body: bytes = b"",
    *more: str,
    method: str = "POST",
    without: tuple[str, ...] = (),
    key: str = KEY,
) -> bytes:
    """Return the bytes of a request: all that a good one has, ``without`` some of it, and ``more`` lines."""
    lines = {
        "host": f"Host: 127.0.0.1:{port}",
        "key": f"x-api-key: {key}",
        "type": "Content-Type: application/json",
        "length": f"Content-Length: {len(body)}",
    }
    kept = [line for name, line in lines.items() if name not in without]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *kept, *more, "", ""]).encode("latin-1") + body


async def ask(port: int, data: bytes) -> Answered:
    async with raw_client(port) as client:
        await client.send(data)
        return await client.answer()
