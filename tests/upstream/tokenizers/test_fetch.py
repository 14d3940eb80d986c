"""Fetching vocabularies: bounded in size and time, redirects to the same kind of place alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Secret
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.tokenizers.fetch import fetched
from ccr.upstream.ways import Reach
from tests.upstream.proxy_servers import ConnectProxy, listening
from tests.upstream.raw import Exchange, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Play = Callable[[Exchange], Awaitable[None]]


def says(body: str, status: int = 200, **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, **headers)

    return play


async def test_redirects_are_followed() -> None:
    async with raw_upstream(
        says("", 302, location="/b?x=1"), says("", 307, location="c"), says("data")
    ) as raw:
        assert await fetched(f"{raw.url}/a/file", Reach(), max_bytes=10) == b"data"
        assert [got.head.split()[1] for got in raw.got] == ["/a/file", "/b?x=1", "/c"]
        assert all("authorization" not in got.headers for got in raw.got)


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (says("x" * 11), "sends more than 10 bytes"),
        (says("", 404), "answered 404"),
        (says("", 302, location="ftp://x/y"), "redirects to something that is not fetched"),
        (says("", 302, location="https://x/y"), "redirects to something that is not fetched"),
        (says("", 302, location="/again"), "redirects too often"),
    ],
)
async def test_what_is_not_taken(play: Play, said: str) -> None:
    async with raw_upstream(play) as raw:
        with pytest.raises(TokenizerError, match=said):
            await fetched(f"{raw.url}/file", Reach(), max_bytes=10)
        assert len(raw.got) <= 6


async def test_nobody_answers() -> None:
    async def hang(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(hang) as raw, asyncio.timeout(10):
        with pytest.raises(TokenizerError, match=r"did not send it within 0\.05 s"):
            await fetched(f"{raw.url}/file", Reach(), max_bytes=10, total_s=0.05)
    with pytest.raises(TokenizerError, match="the vocabulary"):
        await fetched(f"{raw.url}/file", Reach(), max_bytes=10)


async def test_it_goes_by_the_proxy() -> None:
    proxy = ConnectProxy()
    async with listening(proxy):
        reach = Reach(Secret(f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(TokenizerError):
            await fetched("https://far.example.test/file", reach, max_bytes=10, total_s=5)
    assert any("far.example.test:443" in asked for asked in proxy.asked)
