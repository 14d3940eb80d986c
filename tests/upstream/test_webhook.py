"""Telling a web address: what is sent, what is sent again, and what errors say."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Secret
from ccr.config.webhook import Webhook
from ccr.errors import UpstreamError
from ccr.upstream.ways import Reach
from ccr.upstream.webhook import WebhookSender
from tests.upstream.raw import Exchange, RawUpstream, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Play = Callable[[Exchange], Awaitable[None]]


class Sleeps:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def status(number: int, **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("{}", number, **headers)

    return play


async def hang_up(exchange: Exchange) -> None:
    exchange.reset()


async def stay_silent(exchange: Exchange) -> None:
    await exchange.until_closed()


async def sent(raw: RawUpstream, sleeps: Sleeps, reach: Reach | None = None, **changes: Any) -> None:
    webhook = Webhook(url=Secret(f"{raw.url}/services/canary"), **changes)
    sender = WebhookSender(webhook, reach or Reach(), sleep=sleeps)
    try:
        await sender.send(b'{"data":1}')
        await sender.send(b'{"data":2}')
    finally:
        await sender.close()


async def test_what_is_sent() -> None:
    headers = (("Authorization", Secret("Bearer canary")), ("X-Team", Secret("a b")))
    async with raw_upstream(status(202)) as raw:
        await sent(raw, Sleeps(), method="PUT", headers=headers)
        first, second = raw.got
        assert first.head.startswith("PUT /services/canary HTTP/1.1")
        assert first.headers["authorization"] == "Bearer canary"
        assert first.headers["x-team"] == "a b"
        assert first.headers["content-type"] == "application/json"
        assert [json.loads(got.body)["data"] for got in (first, second)] == [1, 2]


@pytest.mark.parametrize("first", [status(500), status(429), status(408), hang_up])
async def test_what_may_pass_is_sent_again(first: Play) -> None:
    sleeps = Sleeps()
    async with raw_upstream(first, first, status(200)) as raw:
        await sent(raw, sleeps, backoff_s=0.5)
        assert len(raw.got) == 4
        assert sleeps.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("play", "count", "said"),
    [
        (status(503), 3, "answered 503"),
        (status(401), 1, "answered 401"),
        (status(302, location="http://127.0.0.1:1/other"), 1, "answered 302"),
        (hang_up, 3, "the webhook"),
    ],
)
async def test_what_is_not_taken(play: Play, count: int, said: str) -> None:
    async with raw_upstream(play) as raw:
        with pytest.raises(UpstreamError, match=said) as caught:
            await sent(raw, Sleeps())
        assert len(raw.got) == count
        assert "canary" not in str(caught.value), "the URL may be a key"
        assert "127.0.0.1" in str(caught.value)


async def test_one_that_does_not_answer() -> None:
    async with raw_upstream(stay_silent) as raw, asyncio.timeout(10):
        with pytest.raises(UpstreamError, match=r"did not answer within 0\.05 s"):
            await sent(raw, Sleeps(), timeout_s=0.05, attempts=1)


async def test_a_proxy_that_needs_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.socks.has_socks", lambda: False)
    reach = Reach(Secret("socks5://127.0.0.1:1"))
    webhook = Webhook(url=Secret("https://far.example/canary"), attempts=1)
    sender = WebhookSender(webhook, reach)
    with pytest.raises(UpstreamError, match="ccr-proxy"):
        await sender.send(b"{}")
    await sender.close()
