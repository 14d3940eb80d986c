"""Clients that leave: the provider is left too, at once, whatever the request was doing."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from typing import TYPE_CHECKING

import pytest

from tests.server.raw_client import ask, raw_client, request
from tests.server.service import config_for, message_body, running
from tests.upstream.raw import Exchange, good_completion, raw_upstream, text_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.service import Service


def assert_left(service: Service, count: int = 1) -> None:
    assert [record["outcome"] for record in service.records] == ["cancelled"] * count
    assert [entry for entry in service.log if entry.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.fault("K101", outcome="the provider's connection is closed at once; recorded as cancelled")
@pytest.mark.parametrize("moment", ["before the first byte", "in the middle", "in the middle, by a reset"])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_provider_is_left_too(moment: str, stream: bool) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def play(exchange: Exchange) -> None:
        if moment != "before the first byte":
            if stream:
                await exchange.stream_head()
                await exchange.chunk(text_chunk("hel"))
            else:
                await exchange.head(200, **{"content-type": "application/json", "content-length": "1000"})
                await exchange.send(b'{"id":')
        reached.set()
        await exchange.until_closed()
        left.set()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client, asyncio.timeout(10):
            await client.send(request(service.port, body=message_body(stream=stream)))
            await reached.wait()
            if stream and moment != "before the first byte":
                await client.reader.readuntil(b'"hel"')
            if "reset" in moment:
                client.writer.transport.abort()
            else:
                client.writer.close()
            await left.wait()
        await service.idle()
        assert_left(service)


@pytest.mark.fault("K101", outcome="a refused request that waits for its repetition is given up")
async def test_who_leaves_in_back_off() -> None:
    refused = asyncio.Event()

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b'{"message":"busy"}', 503, **{"retry-after": "4"})
        refused.set()

    async with raw_upstream(refuse) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client, asyncio.timeout(10):
            await client.send(request(service.port, body=message_body()))
            await refused.wait()
            await asyncio.sleep(0.05)
            client.writer.close()
            await service.idle()
        assert len(raw.got) == 1


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Each client needs four: both ends of its connection and of the provider's are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 4096)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.fault("K102", outcome="tasks and descriptors are back where they were")
async def test_500_clients_leave_at_once() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.until_closed()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        await ask(service.port, request(service.port, "/health", method="GET"))
        await asyncio.sleep(0.05)
        tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
        service.app.server._limit = 10_000
        clients = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(500)]
        for _, writer in clients:
            writer.write(request(service.port, body=message_body(stream=True)))
        async with asyncio.timeout(60):
            for reader, _ in clients:
                await reader.readuntil(b'"hel"')
        for _, writer in clients:
            writer.transport.abort()
        await service.idle()
        async with asyncio.timeout(10):
            while (
                len(asyncio.all_tasks()) > tasks or len(os.listdir("/proc/self/fd")) > descriptors  # noqa: PTH208 - as above
            ):
                gc.collect()
                await asyncio.sleep(0.05)
        assert_left(service, 500)


@pytest.mark.fault("K104", outcome="taken for a client that left, as the usual servers do")
async def test_a_half_closed_connection() -> None:
    left = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.until_closed()
        left.set()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client, asyncio.timeout(10):
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b'"hel"')
            client.writer.write_eof()
            await left.wait()
        await service.idle()
        assert_left(service)


@pytest.mark.fault("K105", outcome="the same connection answers the next request")
async def test_another_request_after_an_error_in_a_stream() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel") + 'data: {"error":{"message":"broken"}}\n\n')
        await exchange.end()

    async with (
        raw_upstream(play, good_completion) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        first = await client.answer()
        assert b"event: error" in first.body
        await client.send(request(service.port, body=message_body()))
        assert (await client.answer()).status == 200


@pytest.mark.fault("K128", outcome="the repetition is answered whole; one request to the provider each")
async def test_a_broken_stream_then_the_request_without_one() -> None:
    async def breaks(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        exchange.reset()

    async with raw_upstream(breaks, good_completion) as raw, running(config_for(raw.url)) as service:
        first = await ask(service.port, request(service.port, body=message_body(stream=True)))
        assert b"event: error" in first.body
        assert b"message_stop" not in first.body
        second = await ask(service.port, request(service.port, body=message_body()))
        assert (second.status, second.json["type"]) == (200, "message")
        assert len(raw.got) == 2


@pytest.mark.fault("K127", outcome="`x-should-retry: false` on final errors, nothing of it on passing ones")
@pytest.mark.parametrize(
    ("status", "body", "final"),
    [
        (401, b'{"error_code":"401","message":"no"}', "false"),
        (404, b'{"error_code":"ENDPOINT_NOT_FOUND","message":"no"}', "false"),
        (429, b'{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}', None),
        (503, b'{"message":"busy"}', None),
    ],
)
async def test_whether_to_repeat(status: int, body: bytes, final: str | None) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, **{"retry-after": "30"})

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await ask(service.port, request(service.port, body=message_body()))
        assert answered.headers.get("x-should-retry") == final
