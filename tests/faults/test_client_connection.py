"""Table K: clients that leave while their request waits; connections that stay, on both sides."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Network, Secret, SignIn
from ccr.upstream.trying import Pace
from tests.faults.network import config_at
from tests.server.raw_client import raw_client, request
from tests.server.service import config_for, message_body, running
from tests.upstream.raw import Exchange, good_completion, good_stream, raw_upstream, text_chunk

if TYPE_CHECKING:
    from ccr.config.model import Config
    from tests.server.service import Service


async def leaves(service: Service, until: asyncio.Event, *, stream: bool) -> None:
    """Send a request, and leave as soon as ``until`` is set."""
    async with raw_client(service.port) as client, asyncio.timeout(10):
        await client.send(request(service.port, body=message_body(stream=stream)))
        await until.wait()
        client.writer.transport.abort()


async def assert_cancelled(service: Service) -> None:
    await asyncio.sleep(0)  # a record is written behind the request
    assert service.records[-1]["outcome"] == "cancelled"
    assert [entry for entry in service.log if entry.levelname in ("WARNING", "ERROR") or entry.exc_info] == []


async def refuse(exchange: Exchange) -> None:
    await exchange.answer('{"message": "busy"}', 503, retry_after="4")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("K101", outcome="a pause before another try ends with its client; its place is free")
async def test_in_back_off(stream: bool) -> None:
    pausing, ended = asyncio.Event(), asyncio.Event()
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        pausing.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    network = Network(max_concurrent=1)
    async with raw_upstream(refuse) as raw, running(config_at(raw.url, network=network)) as service:
        service.app.upstream._pace = Pace(sleep=sleep)
        await leaves(service, pausing, stream=stream)
        async with asyncio.timeout(5):
            await ended.wait()
        await service.idle()
        await assert_cancelled(service)
        assert (len(raw.got), asked) == (1, [4.0])
        assert service.app.upstream.snapshot()["databricks"]["active"] == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("K101", outcome="who waits for a token leaves; the token comes for the next")
async def test_while_a_token_is_fetched(stream: bool) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def token(exchange: Exchange) -> None:
        reached.set()
        await go_on.wait()
        await exchange.answer(json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}))

    async with (
        raw_upstream(token, good_stream if stream else good_completion) as raw,
        running(signing_in(raw.url), environ={}) as service,
    ):
        await leaves(service, reached, stream=stream)
        await service.idle()
        await assert_cancelled(service)
        go_on.set()
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=stream)))
            assert (await client.answer()).status == 200
        assert len(raw.got) == 2, "one token, one request"


def signing_in(url: str) -> Config:
    config = config_for(url)
    sign_in = SignIn(client_id="11111111-aaaa", client_secret=Secret("secret"))
    return replace(config, providers=(replace(config.providers[0], api_key=None, sign_in=sign_in),))


@pytest.mark.fault("K101", outcome="the one that left the queue takes no place")
async def test_in_the_queue() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        reached.set()
        await go_on.wait()
        await good_completion(exchange)

    network = Network(max_concurrent=1)
    async with (
        raw_upstream(slow, good_completion) as raw,
        running(config_at(raw.url, network=network)) as service,
        raw_client(service.port) as first,
    ):
        await first.send(request(service.port, body=message_body()))
        await reached.wait()
        waits = asyncio.create_task(until_queued(service))
        queued = asyncio.Event()
        waits.add_done_callback(lambda _: queued.set())
        await leaves(service, queued, stream=False)
        async with asyncio.timeout(5):
            while service.app.upstream.snapshot()["databricks"]["queued"]:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.002)
        await assert_cancelled(service)
        go_on.set()
        assert (await first.answer()).status == 200
        await first.send(request(service.port, body=message_body()))
        assert (await first.answer()).status == 200
        assert len(raw.got) == 2, "who left was never sent"


async def until_queued(service: Service) -> None:
    async with asyncio.timeout(5):
        while not service.app.upstream.snapshot()["databricks"]["queued"]:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("K105", outcome="the same connection answers the next request")
async def test_after_every_kind_of_error(stream: bool) -> None:
    async def cut(exchange: Exchange) -> None:
        if stream:
            await exchange.stream_head()
            await exchange.chunk(text_chunk("hel"))
        else:
            await exchange.head(content_type="application/json", content_length="1000")
            await exchange.send('{"id":')
        exchange.writer.close()

    async with (
        raw_upstream(refuse, cut, good_stream if stream else good_completion) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        for body in (b"{", message_body(stream=stream, model=5), message_body(stream=stream, messages=[])):
            await client.send(request(service.port, body=body))
            assert (await client.answer()).status == 400
        for expected in (503, 200 if stream else 502, 200):
            await client.send(request(service.port, body=message_body(stream=stream)))
            assert (await client.answer()).status == expected
        await client.send(request(service.port, "/nowhere", method="GET"))
        assert (await client.answer()).status == 404
        await client.send(request(service.port, "/health", method="GET"))
        assert (await client.answer()).status == 200


# -- pooled connections to the upstream --------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault(
    "T100",
    outcome="closed while idle: a new one; after the request was read: 502, sent once",
)
async def test_a_pooled_connection_that_was_closed(stream: bool) -> None:
    good = good_stream if stream else good_completion

    async def then_close(exchange: Exchange) -> None:
        await good(exchange)
        exchange.writer.close()

    async def reads_and_closes(exchange: Exchange) -> None:
        exchange.writer.close()

    async with raw_upstream(then_close, good, good) as raw, running(config_at(raw.url)) as service:
        for _ in range(3):
            async with raw_client(service.port) as client:
                await client.send(request(service.port, body=message_body(stream=stream)))
                assert (await client.answer()).status == 200
        assert [got.connection for got in raw.got] == [1, 2, 2]
    async with raw_upstream(reads_and_closes) as raw, running(config_at(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=stream)))
            answered = await client.answer()
        assert answered.status == 502
        assert "closed the connection without an answer" in answered.json["error"]["message"]
        assert len(raw.got) == 1


@pytest.mark.fault(
    "T100",
    outcome="closed while idle: a new one; after the request was read: 502, sent once",
)
async def test_a_pooled_connection_that_closes_under_the_request() -> None:
    """The end of an idle connection and the next request may cross: once more, on a new connection."""

    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async with (
        raw_upstream(good_completion, reset, good_completion) as raw,
        running(config_at(raw.url, network=Network(retries=0))) as service,
        raw_client(service.port) as client,
    ):
        for _ in range(2):
            await client.send(request(service.port, body=message_body()))
            assert (await client.answer()).status == 200
        assert [got.connection for got in raw.got] == [1, 1, 2]
