"""Proxies at the level of bytes that lead every name to this machine: SOCKS5 (RFC 1928, 1929) and CONNECT."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


@dataclass
class SocksProxy:
    """user: ``name:password`` it asks for. reply: its answer to CONNECT, 0 for yes. asked: host:port."""

    user: str | None = None
    reply: int = 0
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        method = 0 if self.user is None else 2
        writer.write(bytes([5, method if method in methods else 0xFF]))
        if method not in methods:
            return
        if self.user is not None:
            _, size = await reader.readexactly(2)
            name = await reader.readexactly(size)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            is_known = b"%b:%b" % (name, password) == self.user.encode()
            writer.write(bytes([1, 0 if is_known else 1]))
            if not is_known:
                return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = ".".join(str(byte) for byte in await reader.readexactly(4))
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(f"{host}:{port}")
        writer.write(bytes([5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self.reply == 0:
            await tunnel(reader, writer, port)


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass bytes both ways between a client and a port of this machine."""
    to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


@dataclass
class ConnectProxy:
    """user: ``name:password`` it asks for. asked: host:port of each."""

    user: str | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            self.asked.append(target)
            given = [line.partition(": ")[2] for line in lines if line.startswith("Proxy-Authorization")]
            wanted = [] if self.user is None else [f"Basic {b64encode(self.user.encode()).decode()}"]
            if method != "CONNECT" or given != wanted:
                writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 Go on\r\n\r\n")
                await tunnel(reader, writer, int(target.rpartition(":")[2]))
        writer.close()


Proxy = TypeVar("Proxy", bound=SocksProxy | ConnectProxy)


@contextlib.asynccontextmanager
async def listening(proxy: Proxy, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda reader, writer: tasks.add(asyncio.ensure_future(proxy.serve(reader, writer))),
        "127.0.0.1",
        0,
        ssl=tls,
    )
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
