"""A network of the tests' own: what names resolve to, addresses that nobody answers at, services on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.config.model import Network
from tests.server.service import config_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import pytest

    from ccr.config.model import Config

NAME = "adb.example.test"


def resolve(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[list[str]]]) -> None:
    """Let names resolve to these addresses.

    table: name -> the addresses of each look-up, the last ones again and again; none: no such name.
    """
    original = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(
        loop: asyncio.BaseEventLoop, host: Any, port: Any, **how: Any
    ) -> list[tuple[Any, ...]]:
        if host not in table:
            return list(await original(loop, host, port, **how))
        answers = table[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@contextlib.contextmanager
def black_hole(address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Give a port at which connections are neither accepted nor refused: its queue is full."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket(family))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def forwarding(address: str, to_port: int, *, port: int = 0) -> AsyncIterator[int]:
    """Give a port at another address of this machine that leads to ``to_port``; later all of it is gone."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", to_port)
        try:
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))
        finally:
            for each in (writer, to_writer):
                each.transport.abort()

    server = await asyncio.start_server(
        lambda reader, writer: tasks.add(asyncio.ensure_future(lead(reader, writer))), address, port
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port() -> int:
    """Return a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def forget_peak() -> None:
    """Let `peak_mb` begin anew (Linux keeps the highest resident memory of a process until told to)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the highest resident memory since `forget_peak`, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def config_at(base_url: str, *, network: Network | None = None, **changes: Any) -> Config:
    """Return a configuration whose provider is at ``base_url``; it is tried again as often as by default."""
    return config_for(base_url, network=network or Network(), **changes)
