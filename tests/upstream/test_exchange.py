"""What the exchange does itself: its head, and an answer that comes before the body was taken."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from ccr.upstream.exchange import Target, post
from tests.upstream.raw import good_completion, raw_upstream


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "1\r\nx-b: 2"), ("x-a", "1\n"), ("x-a", "\x00"), ("x-a\r\nx-b", "1")],
)
async def test_a_header_cannot_bring_another(name: str, value: str) -> None:
    async with raw_upstream(good_completion) as raw, aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="control character"):
            await post(Target(raw.url, session), {name: value}, b"{}", read_bytes=1024)
        assert raw.got == []


async def test_path_and_query_go_out_as_the_url_has_them() -> None:
    async with raw_upstream(good_completion) as raw, aiohttp.ClientSession() as session:
        target = Target(raw.url + "/a%20b/c?d=1&e", session)
        exchange = await post(target, {}, b"{}", read_bytes=1024)
        await exchange.content.read()
        assert raw.got[0].head.split("\r\n")[0] == "POST /a%20b/c?d=1&e HTTP/1.1"
        assert raw.got[0].headers == {"host": f"127.0.0.1:{raw.port}", "content-length": "2"}


async def test_an_unpooled_connection_says_so() -> None:
    connector = aiohttp.TCPConnector(force_close=True)
    async with raw_upstream(good_completion) as raw, aiohttp.ClientSession(connector=connector) as session:
        target = Target(raw.url, session)
        for _ in range(2):
            await (await post(target, {}, b"{}", read_bytes=1024)).content.read()
        assert [got.headers["connection"] for got in raw.got] == ["close", "close"]
        assert raw.got[0].connection != raw.got[1].connection


async def test_a_refusal_is_read_before_the_body_was_taken() -> None:
    answered, is_closed = asyncio.Event(), asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        await answered.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):  # until the other side closes
                pass
        writer.close()
        is_closed.set()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        target = Target(f"http://127.0.0.1:{port}/", session)
        exchange = await post(target, {}, b"x" * 32 * 2**20, read_bytes=1024)
        assert exchange.status == 413
        assert await exchange.content.read() == b"big"
        answered.set()
        await is_closed.wait()


async def test_closing_twice_is_closing_once() -> None:
    async with raw_upstream(good_completion) as raw, aiohttp.ClientSession() as session:
        exchange = await post(Target(raw.url, session), {}, b"{}", read_bytes=1024)
        exchange.close()
        exchange.close()
