"""An upstream at the level of bytes: it reads whole requests and answers whatever a test writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl


@dataclass
class Got:
    """One request as it arrived. connection: number of the connection it came on."""

    head: str
    body: bytes
    connection: int

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }


@dataclass
class Exchange:
    """What a test's ``play`` gets: the request, and the socket to answer on."""

    got: Got
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def head(self, status: int = 200, reason: str = "OK", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        await self.send("\r\n".join(lines) + "\r\n\r\n")

    async def answer(
        self, body: bytes | str, status: int = 200, content_type: str = "application/json", **more: str
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        await self.head(status, "X", content_type=content_type, content_length=str(len(data)), **more)
        await self.send(data)

    async def stream_head(self) -> None:
        await self.head(content_type="text/event-stream", transfer_encoding="chunked")

    async def chunk(self, data: bytes | str) -> None:
        raw = data.encode() if isinstance(data, str) else data
        await self.send(b"%x\r\n%b\r\n" % (len(raw), raw))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Return when the other side has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Play = Callable[[Exchange], Awaitable[None]]


def stream_of(*pieces: bytes | str, is_cut: bool = False) -> Play:
    """Return a play that streams pieces, and then ends in order, or is reset."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for piece in pieces:
            await exchange.chunk(piece)
        if is_cut:
            exchange.reset()
        else:
            await exchange.end()

    return play


@dataclass
class RawUpstream:
    """Plays ``plays`` in order, the last one again and again. Whatever a play leaves open stays open."""

    plays: list[Play]
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer, self.connections)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while not writer.transport.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip()
            got = Got(head, b"", number)
            got.body = await reader.readexactly(int(got.headers.get("content-length", "0")))
            play = self.plays[min(len(self.got), len(self.plays) - 1)]
            async with self.arrived:
                self.got.append(got)
                self.arrived.notify_all()
            await play(Exchange(got, reader, writer))

    async def until(self, count: int) -> None:
        """Return when ``count`` requests have arrived."""
        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)


@contextlib.asynccontextmanager
async def raw_upstream(*plays: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawUpstream]:
    upstream = RawUpstream(list(plays))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(upstream.serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def chunk_of(**choice: Any) -> str:
    """Return one event of a streamed completion."""
    return "data: " + json.dumps({"id": "c1", "choices": [{"index": 0, **choice}]}) + "\n\n"


def text_chunk(text: str) -> str:
    return chunk_of(delta={"role": "assistant", "content": text})


FINISH = chunk_of(delta={"content": ""}, finish_reason="stop")
DONE = "data: [DONE]\n\n"


def completion(text: str = "hello", **more: Any) -> str:
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
            **more,
        }
    )


async def good_stream(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel") + text_chunk("lo"))
    await exchange.chunk(FINISH + DONE)
    await exchange.end()


async def good_completion(exchange: Exchange) -> None:
    await exchange.answer(completion())
