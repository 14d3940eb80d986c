"""Requests that are signed by credentials: renewed once when the token is refused, otherwise left alone."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Network, Provider, Secret
from ccr.errors import RequestError, UpstreamError
from ccr.upstream.answer import Answer
from ccr.upstream.client import Upstream
from tests.upstream.raw import Exchange, Play, good_completion, raw_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REFUSED = json.dumps({"error_code": "PERMISSION_DENIED", "message": "Invalid Token"})
FORBIDDEN = json.dumps({"error_code": "PERMISSION_DENIED", "message": "User does not have permission"})


@dataclass
class Numbered:
    """Credentials whose tokens are numbered; ``rejected`` gives the next one while there are any."""

    tokens: int = 2
    error: UpstreamError | RequestError | None = None
    number: int = 1
    refused: list[str] = field(default_factory=list)
    users: list[str | None] = field(default_factory=list)
    is_closed: bool = False

    async def authorization(self, forwarded: str | None = None) -> Secret:
        self.users.append(forwarded)
        if self.error is not None and not self.refused:
            raise self.error
        return Secret(f"Bearer canary-{self.number}")

    async def rejected(self, used: Secret) -> bool:
        self.refused.append(used.reveal())
        if self.error is not None:
            raise self.error
        if self.number == self.tokens:
            return False
        self.number += 1
        return True

    def describe(self) -> dict[str, str]:
        return {"method": "numbered"}

    async def close(self) -> None:
        self.is_closed = True


def answering(status: int, body: str | bytes, **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, **headers)

    return play


@contextlib.asynccontextmanager
async def signing(credentials: Numbered) -> AsyncIterator[Upstream]:
    upstream = Upstream(Config(), {"prov": credentials})
    try:
        yield upstream
    finally:
        await upstream.close()


async def post(upstream: Upstream, url: str, key: str | None = None, user: str | None = None) -> Answer:
    provider = Provider(
        name="prov",
        url=url,
        api_key=Secret(key) if key else None,
        models=("m",),
        network=Network(retries=0),
    )
    return await upstream.open(
        provider, url, b'{"a":1}', stream=False, user_token=Secret(user) if user else None
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, ""),
        (401, "<html>sign in</html>"),
        (403, REFUSED),
        (400, REFUSED),
        (403, '{"message": "Token is expiring within 30 seconds. (token expired)"}'),
    ],
)
async def test_a_refused_token_is_replaced_and_the_request_sent_again(status: int, body: str) -> None:
    credentials = Numbered()
    async with (
        raw_upstream(answering(status, body), good_completion) as raw,
        signing(credentials) as upstream,
    ):
        answer = await post(upstream, raw.url)
        assert (answer.status, answer.key) == (200, Secret("canary-2"))
        assert b"hello" in await answer.read(timeout_s=5)
        assert [got.headers["authorization"] for got in raw.got] == ["Bearer canary-1", "Bearer canary-2"]
        assert [got.body for got in raw.got] == [b'{"a":1}', b'{"a":1}']
        assert raw.connections == 1, "the refusal was read to its end, so its connection serves again"
    assert credentials.refused == ["Bearer canary-1"]
    assert credentials.is_closed


@pytest.mark.fault(
    "S65", outcome="403 with the remedy after exactly one renewal (a 401 would end the login of Claude Code)"
)
async def test_a_second_refusal_is_the_answer() -> None:
    credentials = Numbered(tokens=5)
    async with raw_upstream(answering(403, REFUSED)) as raw, signing(credentials) as upstream:
        answer = await post(upstream, raw.url)
        assert answer.status == 403
        assert await answer.read(timeout_s=5) == REFUSED.encode()
        assert len(raw.got) == 2
    assert len(credentials.refused) == 1


async def test_without_another_token_the_refusal_is_the_answer_and_is_whole() -> None:
    credentials = Numbered(tokens=1)
    long = json.dumps({"message": "Invalid Token", "more": "x" * 200_000})
    async with raw_upstream(answering(403, long)) as raw, signing(credentials) as upstream:
        answer = await post(upstream, raw.url)
        is_at_end = [answer.is_at_end]
        assert await answer.read(timeout_s=5) == long.encode()
        is_at_end.append(answer.is_at_end)
        assert is_at_end == [False, True]
        assert (len(raw.got), len(credentials.refused)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "body"), [(403, FORBIDDEN), (400, '{"message": "max_tokens"}'), (429, REFUSED), (500, REFUSED)]
)
async def test_what_no_other_token_mends_is_left_alone(status: int, body: str) -> None:
    credentials = Numbered()
    async with raw_upstream(answering(status, body)) as raw, signing(credentials) as upstream:
        answer = await post(upstream, raw.url)
        assert answer.status == status
        assert await answer.read_start(max_bytes=9, timeout_s=5) == body.encode()[:9]
        assert (len(raw.got), credentials.refused) == (1, [])


async def test_a_compressed_refusal_is_understood() -> None:
    packed = answering(403, gzip.compress(REFUSED.encode()), content_encoding="gzip")
    credentials = Numbered()
    async with raw_upstream(packed, good_completion) as raw, signing(credentials) as upstream:
        assert (await post(upstream, raw.url)).status == 200


async def test_a_refusal_that_breaks_off_is_judged_by_its_status() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.head(401, content_length="1000")
        await exchange.send("Credential was not")
        exchange.reset()

    async with raw_upstream(play, good_completion) as raw, signing(Numbered()) as upstream:
        assert (await post(upstream, raw.url)).status == 200


async def test_a_renewal_that_failed_says_more_than_the_refusal() -> None:
    class Failing(Numbered):
        async def rejected(self, used: Secret) -> bool:
            raise UpstreamError(503, "the token endpoint is down")

    async with raw_upstream(answering(403, REFUSED)) as raw, signing(Failing()) as upstream:
        with pytest.raises(UpstreamError, match="token endpoint is down"):
            await post(upstream, raw.url)
        assert len(raw.got) == 1


async def test_without_a_token_nothing_is_sent() -> None:
    credentials = Numbered(error=UpstreamError(403, "log in first"))
    async with raw_upstream(good_completion) as raw, signing(credentials) as upstream:
        with pytest.raises(UpstreamError, match="log in first"):
            await post(upstream, raw.url)
        assert raw.got == []


async def test_a_client_that_leaves_during_a_refusal_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, peeking = asyncio.Event(), asyncio.Event()

    async def peek(answer: Answer, **_limits: object) -> bytes:
        peeking.set()
        return await answer.next(60)

    monkeypatch.setattr(Answer, "peek", peek)

    async def play(exchange: Exchange) -> None:
        await exchange.head(403, content_length="1000")
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, signing(Numbered()) as upstream:
        task = asyncio.create_task(post(upstream, raw.url))
        async with asyncio.timeout(5):
            await peeking.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()


async def test_a_key_of_its_own_goes_before_credentials() -> None:
    credentials = Numbered()
    async with raw_upstream(answering(401, "")) as raw, signing(credentials) as upstream:
        answer = await post(upstream, raw.url, key="own-key")
        assert (answer.status, answer.key) == (401, Secret("own-key"))
        assert [got.headers["authorization"] for got in raw.got] == ["Bearer own-key"]
    assert credentials.users == credentials.refused == []


async def test_the_user_s_token_reaches_the_credentials_only() -> None:
    credentials = Numbered()
    async with raw_upstream(good_completion) as raw, signing(credentials) as upstream:
        await post(upstream, raw.url, user="canary-user")
        assert credentials.users == ["canary-user"]
        assert "canary-user" not in raw.got[0].head


@pytest.mark.parametrize("error", [None, UpstreamError(503, "down"), RequestError("no user", status=403)])
async def test_signing_in_before_the_first_request(error: UpstreamError | RequestError | None) -> None:
    credentials = Numbered(error=error)
    async with signing(credentials) as upstream:
        await upstream.sign_in()
        assert credentials.users == [None]
        assert upstream.identities() == {"prov": {"method": "numbered"}}
