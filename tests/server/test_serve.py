"""Start, drain and stop, with real signals to this process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Secret, Step
from ccr.server.app import serve
from ccr.server.departure import FOLLOWED_S, Departure
from tests.server.raw_client import raw_client, request
from tests.server.service import KEY, config_for, message_body
from tests.upstream.raw import DONE, FINISH, Exchange, raw_upstream, text_chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def refuses(port: int) -> None:
    """Return once nobody listens any more."""
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await asyncio.sleep(0.005)


@dataclass
class Serving:
    port: int
    task: asyncio.Task[None]


@contextlib.asynccontextmanager
async def serving(
    config: Config, drain_s: float = 30, *, departure: Departure | None = None
) -> AsyncIterator[Serving]:
    sock = socket.create_server(("127.0.0.1", 0))
    ready = asyncio.Event()
    task = asyncio.create_task(
        serve(
            dataclasses.replace(config, stop_timeout_s=drain_s),
            key=Secret(KEY),
            instance="i",
            sockets=[sock],
            log=logging.getLogger("ccr.test.serve"),
            on_ready=ready.set,
            departure=departure,
        )
    )
    async with asyncio.timeout(5):
        await ready.wait()
    try:
        yield Serving(sock.getsockname()[1], task)
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_service(number: signal.Signals) -> None:
    async with serving(config_for("http://127.0.0.1:1")) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, "/health", method="GET"))
            assert (await client.answer()).status == 200
            os.kill(os.getpid(), number)
            assert await client.is_closed()
        async with asyncio.timeout(5):
            await service.task
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", service.port)


async def test_running_streams_are_finished() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await go_on.wait()
        await exchange.chunk(text_chunk("lo") + FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, serving(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b'"hel"')
            os.kill(os.getpid(), signal.SIGTERM)
            await refuses(service.port)
            assert not service.task.done()
            go_on.set()
            rest = await client.reader.read()
            assert b"message_stop" in rest
            assert rest.endswith(b"0\r\n\r\n")
        async with asyncio.timeout(5):
            await service.task


@pytest.mark.parametrize("how", ["deadline", "second signal"])
@pytest.mark.fault("L107", outcome="streams are cut at once with `overloaded_error`")
async def test_streams_that_take_too_long_end_with_an_error(how: str) -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.until_closed()
        closed.set()

    drain_s = 0.05 if how == "deadline" else 60
    async with raw_upstream(play) as raw, serving(config_for(raw.url), drain_s) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b'"hel"')
            os.kill(os.getpid(), signal.SIGTERM)
            if how == "second signal":
                await asyncio.sleep(0.05)
                os.kill(os.getpid(), signal.SIGTERM)
            rest = await client.reader.read()
            assert b"event: error" in rest
            assert b"overloaded_error" in rest
            assert b"message_stop" not in rest
        async with asyncio.timeout(5):
            await service.task
            await closed.wait()


async def test_who_is_followed_lets_answers_end_however_short_the_time_to_stop() -> None:
    go_on = asyncio.Event()
    departure = Departure()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await go_on.wait()
        await exchange.chunk(text_chunk("lo") + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        serving(config_for(raw.url), 0, departure=departure) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        await client.reader.readuntil(b'"hel"')
        departure.begin()
        await departure.is_deaf.wait()
        await asyncio.sleep(0.2)
        assert not service.task.done()
        go_on.set()
        assert b"message_stop" in await client.reader.readuntil(b"0\r\n\r\n")
    assert FOLLOWED_S >= 600, "longer than the longest answers"


async def test_requests_that_take_too_long_are_answered_with_an_error() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(play) as raw, serving(config_for(raw.url), 0.05) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body()))
            await raw.until(1)
            os.kill(os.getpid(), signal.SIGTERM)
            answered = await client.answer()
            assert (answered.status, answered.json["error"]["type"]) == (529, "overloaded_error")
            assert await client.is_closed()
        async with asyncio.timeout(5):
            await service.task


async def test_a_transformer_that_cannot_be_built_stops_the_start() -> None:
    config = config_for("http://127.0.0.1:1")
    provider = dataclasses.replace(config.providers[0], steps=(Step(name="nobody-knows"),))
    with pytest.raises(ValueError, match="nobody-knows"):
        await serve(
            dataclasses.replace(config, providers=(provider,)),
            key=Secret(KEY),
            instance="i",
            sockets=[],
            log=logging.getLogger("ccr.test.serve"),
            on_ready=pytest.fail,
        )
