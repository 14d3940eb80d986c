"""Requests that fail, over real sockets, with a clock and pauses of the tests' own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Network, Provider, Secret
from ccr.errors import UpstreamError
from ccr.upstream.breaker import MAX_FAILURES, OPEN_S
from ccr.upstream.client import Upstream
from ccr.upstream.retry import Effort
from ccr.upstream.trying import Pace
from tests.upstream.raw import Exchange, Play, RawUpstream, good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ccr.upstream.answer import Answer


class Clock:
    """Virtual time: a pause is over at once, and noted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    @property
    def pace(self) -> Pace:
        return Pace(
            clock=lambda: self.now, wall=lambda: 1_700_000_000.0, sleep=self.sleep, random=lambda: 0.0
        )


def provider(url: str, *more_keys: str, **network: Any) -> Provider:
    return Provider(
        name="prov",
        url=url,
        api_key=Secret("key-0"),
        more_keys=tuple(Secret(key) for key in more_keys),
        models=("m",),
        network=Network(**network),
    )


@contextlib.asynccontextmanager
async def connected(clock: Clock, **settings: Any) -> AsyncIterator[Upstream]:
    upstream = Upstream(Config(**settings), pace=clock.pace)
    try:
        yield upstream
    finally:
        await upstream.close()


def status(code: int, body: str = "{}", **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, code, **headers)

    return play


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def post(
    upstream: Upstream, to: Provider, *, effort: Effort | None = None, stream: bool = False
) -> Answer:
    return await upstream.open(to, to.url, b"{}", stream=stream, model="m", effort=effort)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("code", [408, 409, 500, 502, 503, 504, 529])
async def test_what_may_pass_is_tried_again(code: int) -> None:
    clock, effort = Clock(), Effort()
    async with (
        raw_upstream(status(code), status(code), good_completion) as raw,
        connected(clock) as upstream,
    ):
        answer = await post(upstream, provider(raw.url), effort=effort)
        assert answer.status == 200
        assert clock.pauses == [0.2, 0.4]
        assert effort.failures == [f"prov,m: {code}"] * 2
        assert (effort.retries, effort.sent) == (2, 3)
        answer.close()


async def test_the_last_refusal_is_returned_whole() -> None:
    clock = Clock()
    async with raw_upstream(status(503, '{"message": "busy"}')) as raw, connected(clock) as upstream:
        answer = await post(upstream, provider(raw.url))
        assert (answer.status, len(raw.got)) == (503, 3)
        assert await answer.read(timeout_s=5) == b'{"message": "busy"}'
        answer.close()


@pytest.mark.parametrize("code", [400, 404, 413, 422, 501, 505])
async def test_what_cannot_pass_is_not(code: int) -> None:
    async with raw_upstream(status(code)) as raw, connected(Clock()) as upstream:
        answer = await post(upstream, provider(raw.url))
        assert (answer.status, len(raw.got)) == (code, 1)
        answer.close()


@pytest.mark.parametrize(
    ("body", "headers", "sent", "pauses"),
    [
        ("{}", {}, 1, []),
        ("{}", {"retry_after": "5"}, 3, [5.0, 5.0]),
        ("{}", {"retry_after": "6"}, 1, []),
        ("{}", {"retry_after_ms": "1500"}, 3, [1.5, 1.5]),
        ("{}", {"retry_after": "2", "x_should_retry": "false"}, 1, []),
        ('{"error": {"message": "slow", "retry_after": 3}}', {}, 3, [3.0, 3.0]),
        ('{"error": {"message": "slow", "retry_after": -3}}', {}, 1, []),
        ('{"error": {"message": "slow", "retry_after": 60}}', {}, 1, []),
    ],
)
async def test_limits(body: str, headers: dict[str, str], sent: int, pauses: list[float]) -> None:
    clock = Clock()
    async with raw_upstream(status(429, body, **headers)) as raw, connected(clock) as upstream:
        answer = await post(upstream, provider(raw.url))
        assert (answer.status, len(raw.got), clock.pauses) == (429, sent, pauses)
        assert await answer.read(timeout_s=5) == body.encode()
        answer.close()


async def test_a_refused_connection() -> None:
    clock, port = Clock(), free_port()
    async with connected(clock) as upstream:
        with pytest.raises(UpstreamError, match=f"prov: 127.0.0.1:{port} refused") as caught:
            await post(upstream, provider(f"http://127.0.0.1:{port}/x"))
    assert (caught.value.status, caught.value.should_retry) == (502, None)
    assert len(clock.pauses) == 2
    assert sum(clock.pauses) < 3


async def test_a_request_that_may_have_been_read_is_sent_once() -> None:
    clock = Clock()
    async with raw_upstream(reset) as raw, connected(clock) as upstream:
        with pytest.raises(UpstreamError):
            await post(upstream, provider(raw.url))
        assert (len(raw.got), clock.pauses) == (1, [])


async def test_a_long_wait_is_no_time_for_another() -> None:
    clock = Clock()

    async def slow(exchange: Exchange) -> None:
        clock.now += 31
        await exchange.answer("{}", 503)

    async with raw_upstream(slow) as raw, connected(clock) as upstream:
        answer = await post(upstream, provider(raw.url))
        assert (answer.status, len(raw.got)) == (503, 1)
        answer.close()


@pytest.mark.parametrize(("retries", "sent"), [(0, 1), (1, 2), (2, 3)])
async def test_retries_are_a_setting(retries: int, sent: int) -> None:
    async with raw_upstream(status(500)) as raw, connected(Clock()) as upstream:
        (await post(upstream, provider(raw.url, retries=retries))).close()
        assert len(raw.got) == sent


async def test_the_effort_of_the_request_bounds_them() -> None:
    async with raw_upstream(status(500)) as raw, connected(Clock()) as upstream:
        effort = Effort(retries_left=1)
        (await post(upstream, provider(raw.url), effort=effort)).close()
        (await post(upstream, provider(raw.url), effort=effort)).close()
        assert len(raw.got) == 3


async def test_an_upstream_in_trouble_gets_few_retries() -> None:
    clock = Clock()
    async with raw_upstream(status(500)) as raw, connected(clock) as upstream:
        to = provider(raw.url)
        pace = clock.pace
        for number in range(30):  # each for a model of its own: no breaker opens
            answer = await upstream.open(to, to.url, b"{}", stream=False, model=f"m{number}")
            answer.close()
            clock.now -= sum(clock.pauses)
            clock.pauses.clear()
        assert pace.clock() == pytest.approx(1000.0)
        assert 30 + 10 <= len(raw.got) <= 30 + 14


# -- keys ------------------------------------------------------------------------------------------------


def keys_of(raw: RawUpstream) -> list[str]:
    return [got.headers["authorization"].removeprefix("Bearer ") for got in raw.got]


@pytest.mark.parametrize("code", [401, 403, 429])
async def test_another_key_is_tried_at_once(code: int) -> None:
    clock = Clock()
    async with raw_upstream(status(code), good_completion) as raw, connected(clock) as upstream:
        to = provider(raw.url, "key-1", "key-2")
        for _ in range(3):
            answer = await post(upstream, to)
            assert answer.status == 200
            answer.close()
        assert keys_of(raw) == ["key-0", "key-1", "key-2", "key-1"]
        assert clock.pauses == [0.0]
        assert upstream.snapshot()["prov"]["keys"] == {"count": 3, "cooling": 1}


async def test_no_key_is_left() -> None:
    async with raw_upstream(status(401)) as raw, connected(Clock()) as upstream:
        answer = await post(upstream, provider(raw.url, "key-1"))
        assert (answer.status, keys_of(raw)) == (401, ["key-0", "key-1"])
        assert answer.key == Secret("key-1")
        answer.close()


# -- breaker ---------------------------------------------------------------------------------------------


async def test_a_route_that_is_left_alone_says_why() -> None:
    async with connected(Clock()) as upstream:
        nobody = provider("http://127.0.0.1:9/v1/chat/completions")
        for _ in range(2):
            with pytest.raises(UpstreamError, match=r"prov: 127\.0\.0\.1:9 refused"):
                await post(upstream, nobody)
        sentence = "prov, m: not asked again for 15 s, after failures: 127.0.0.1:9 refused the connection"
        with pytest.raises(UpstreamError, match=re.escape(sentence)):
            await post(upstream, nobody)


async def test_a_route_that_keeps_failing_is_left_alone() -> None:
    clock = Clock()
    async with (
        raw_upstream(*[status(503)] * MAX_FAILURES, good_completion) as raw,
        connected(clock) as upstream,
    ):
        to = provider(raw.url)
        for _ in range(2):
            (await post(upstream, to)).close()
        assert len(raw.got) == MAX_FAILURES, "the fifth failure ends the retries"
        with pytest.raises(UpstreamError, match="prov, m: not asked") as caught:
            await post(upstream, to)
        assert (caught.value.status, caught.value.retry_after_s) == (503, OPEN_S)
        assert len(raw.got) == MAX_FAILURES
        assert upstream.snapshot()["prov"]["breakers"] == {
            "m": {"state": "open", "opened": 1, "reason": "it answered 503"}
        }
        answer = await upstream.open(to, to.url, b"{}", stream=False, model="other")
        assert answer.status == 200
        answer.close()
        clock.now += OPEN_S
        answer = await post(upstream, to)
        assert answer.status == 200
        answer.close()
        assert upstream.snapshot()["prov"]["breakers"]["m"]["state"] == "closed"


async def test_refusals_never_open_it() -> None:
    async with raw_upstream(status(400), status(429), status(401)) as raw, connected(Clock()) as upstream:
        for _ in range(3 * MAX_FAILURES):
            (await post(upstream, provider(raw.url))).close()
        assert len(raw.got) == 3 * MAX_FAILURES


# -- the client leaves -----------------------------------------------------------------------------------


async def test_a_client_that_leaves_in_a_pause() -> None:
    pausing = asyncio.Event()

    async def sleep(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    async with raw_upstream(status(503), good_completion) as raw:
        upstream = Upstream(Config(), pace=Pace(sleep=sleep))
        task = asyncio.create_task(post(upstream, provider(raw.url, max_concurrent=1)))
        await pausing.wait()
        assert upstream.snapshot()["prov"]["active"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert upstream.snapshot()["prov"]["active"] == 0
        assert len(raw.got) == 1
        await upstream.close()


async def test_a_client_that_leaves_before_the_first_byte() -> None:
    closed = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(silent, good_completion) as raw, connected(Clock()) as upstream:
        to = provider(raw.url, max_concurrent=1)
        task = asyncio.create_task(post(upstream, to))
        await raw.until(1)
        waiting = asyncio.create_task(post(upstream, to))
        await asyncio.sleep(0)
        assert upstream.snapshot()["prov"]["queued"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            await closed.wait()
        answer = await waiting
        assert answer.status == 200
        answer.close()
        assert upstream.snapshot()["prov"]["active"] == 0


async def test_a_place_is_held_until_the_answer_is_closed() -> None:
    async with raw_upstream(good_stream) as raw, connected(Clock()) as upstream:
        to = provider(raw.url, max_concurrent=1, max_queued=0)
        answer = await post(upstream, to, stream=True)
        with pytest.raises(UpstreamError, match="max_concurrent"):
            await post(upstream, to)
        assert upstream.load(to) == 1
        while await answer.next(5):
            pass
        upstream.release(answer)
        answer.close()
        assert upstream.load(to) == 0


async def test_a_probe_whose_client_leaves_proves_nothing() -> None:
    clock = Clock()

    async def silent(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with (
        raw_upstream(*[status(503)] * MAX_FAILURES, silent, good_completion) as raw,
        connected(clock) as upstream,
    ):
        to = provider(raw.url)
        for _ in range(2):
            (await post(upstream, to)).close()
        clock.now += OPEN_S
        task = asyncio.create_task(post(upstream, to))
        await raw.until(MAX_FAILURES + 1)
        with pytest.raises(UpstreamError, match="not asked"):
            await post(upstream, to)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answer = await post(upstream, to)
        assert answer.status == 200
        answer.close()


async def test_a_client_that_leaves_while_a_refusal_is_read() -> None:
    closed = asyncio.Event()

    async def half(exchange: Exchange) -> None:
        await exchange.head(429, "X", content_length="100")
        await exchange.send("{")
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(half) as raw, connected(Clock()) as upstream:
        task = asyncio.create_task(post(upstream, provider(raw.url)))
        await raw.until(1)
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            await closed.wait()
        assert upstream.snapshot()["prov"]["active"] == 0
