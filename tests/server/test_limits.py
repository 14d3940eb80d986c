"""What one client must not take from the others: connections, time, memory, the event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import time
from typing import Any

import pytest

from ccr.server import capacity
from ccr.server import connection as connection_module
from ccr.server.capacity import connection_limit
from ccr.server.throttle import Throttle
from ccr.server.watchdog import Watchdog
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import config_for, message_body, running
from tests.upstream.raw import Exchange, good_completion, raw_upstream, text_chunk

CHUNKS = 1200
"""60 MB: several times what the buffers of the kernel hold on two loopback connections."""


class TestConnections:
    @pytest.mark.parametrize(
        ("descriptors", "limit"), [(10, 8), (64, 16), (1024, 496), (1_000_000, capacity.MAX_CONNECTIONS)]
    )
    def test_each_needs_two_descriptors(self, descriptors: int, limit: int) -> None:
        assert connection_limit(descriptors) == limit

    def test_by_default_those_of_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert connection_limit() >= capacity.MIN_CONNECTIONS
        monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
        assert connection_limit() == capacity.MAX_CONNECTIONS

    async def test_one_too_many_is_told_so_and_the_others_go_on(self) -> None:
        async with running(config_for("http://127.0.0.1:1")) as service:
            service.app.server._limit = 2
            async with raw_client(service.port) as one, raw_client(service.port) as two:
                for client in (one, two):
                    await client.send(request(service.port, "/health", method="GET"))
                    assert (await client.answer()).status == 200
                for _ in range(3):
                    async with raw_client(service.port) as third:
                        refused = await third.answer()
                        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                        assert refused.json["error"]["type"] == "overloaded_error"
                        assert await third.is_closed()
                await one.send(request(service.port, "/health", method="GET"))
                assert (await one.answer()).status == 200
            said = [entry for entry in service.log if "too many" in entry.getMessage()]
            assert len(said) == 1, "said once a minute"

    @pytest.mark.fault("R38", outcome="300 slow connections do not keep a normal request waiting")
    async def test_slow_connections_keep_nobody_waiting(self) -> None:
        async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
            slow = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(300)]
            for _, writer in slow:
                writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: 127")
            answered = await ask(service.port, request(service.port, body=message_body()))
            assert answered.status == 200
            for _, writer in slow:
                writer.close()


class TestClientsThatDoNotRead:
    @pytest.mark.fault("K103", outcome="after 300 s without reading the client is left, the provider too")
    async def test_a_client_that_reads_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection_module, "STALLED_S", 0.2)
        left = asyncio.Event()

        async def flood(exchange: Exchange) -> None:
            await exchange.stream_head()
            try:
                while True:
                    await exchange.chunk(text_chunk("x" * 50_000))
            except ConnectionError:
                left.set()

        async with raw_upstream(flood) as raw, running(config_for(raw.url)) as service:
            async with raw_client(service.port) as client:
                await client.send(request(service.port, body=message_body(stream=True)))
                async with asyncio.timeout(20):
                    await left.wait()
            await service.idle()
            assert service.records[-1]["outcome"] == "cancelled"

    @pytest.mark.fault("T96", outcome="the provider is paused; a few hundred KiB wait, then all goes on")
    async def test_the_provider_waits_for_a_slow_client(self) -> None:
        sent = 0
        size = 50_000

        async def flood(exchange: Exchange) -> None:
            nonlocal sent
            await exchange.stream_head()
            for _ in range(CHUNKS):
                await exchange.chunk(text_chunk("x" * size))
                sent += size
            await exchange.chunk('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
            await exchange.chunk("data: [DONE]\n\n")
            await exchange.end()

        async with (
            raw_upstream(flood) as raw,
            running(config_for(raw.url)) as service,
            raw_client(service.port) as client,
        ):
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b"message_start")
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < CHUNKS * size / 2, "kernel buffers and ours hold some megabytes, not all of it"
            got = 0
            async with asyncio.timeout(60):
                while data := await client.reader.read(1 << 20):
                    got += len(data)
                    if b"message_stop" in data:
                        break
            assert got > CHUNKS * size


class TestBodies:
    @pytest.mark.fault(
        "R29", outcome="400 as soon as the malformed chunk arrives, also in a packet of its own"
    )
    async def test_a_malformed_chunk_in_a_packet_of_its_own(self) -> None:
        async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
            head = request(
                service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",)
            )
            async with raw_client(service.port) as client:
                await client.send(head)
                await client.send(b"1\r\n{\r\n")
                await asyncio.sleep(0.02)
                began = time.monotonic()
                await client.send(b"nonsense\r\n")
                answered = await client.answer()
                assert (answered.status, answered.headers["connection"]) == (400, "close")
                assert "malformed" in answered.json["error"]["message"]
                assert await client.is_closed()
                assert time.monotonic() - began < connection_module.FIRST_REQUEST_S
            assert not raw.got
            assert not [entry for entry in service.log if entry.exc_info]


class TestTheLoop:
    async def test_a_loop_that_stands_still_is_told_with_its_stack(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        watchdog = Watchdog(logging.getLogger("ccr.test"), stall_s=0.05)
        async with watchdog.watching():
            await asyncio.sleep(0.1)
            assert watchdog.stalls == 0
            time.sleep(0.3)  # noqa: ASYNC251 - exactly what must not be done
            async with asyncio.timeout(5):
                while not watchdog.longest_s:  # noqa: ASYNC110 - the product needs no event for it
                    await asyncio.sleep(0.01)
        begun, over = (entry.__dict__ for entry in caplog.records if "event loop" in entry.getMessage())
        assert "time.sleep(0.3)" in begun["fields"]["traceback"]
        assert over["fields"]["seconds"] >= 0.2
        assert watchdog.stalls == 1

    async def test_status_counts_stalls_and_connections(self) -> None:
        async with running(config_for("http://127.0.0.1:1")) as service:
            answered = await ask(service.port, request(service.port, "/status", method="GET"))
            assert answered.json["process"] == {"connections": 1, "loop_stalls": 0, "longest_stall_s": 0.0}


def test_the_same_error_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    throttle = Throttle(logging.getLogger("ccr.test"), lambda: now)
    full: dict[str, Any] = {
        "message": "accept failed",
        "exception": OSError(errno.EMFILE, "Too many open files"),
    }
    loop: Any = None
    for _ in range(1000):
        throttle.loop_error(loop, full)
    throttle.loop_error(loop, {"message": "Task exception\nmore", "exception": KeyError("x")})
    throttle.loop_error(loop, {})
    now = 61.0
    throttle.loop_error(loop, full)
    said = [(entry.getMessage(), entry.__dict__["fields"], bool(entry.exc_info)) for entry in caplog.records]
    assert said == [
        ("accept failed OSError", {"error": "[Errno 24] Too many open files"}, False),
        ("Task exception KeyError", {}, True),
        ("an error in the event loop", {}, False),
        ("accept failed OSError", {"error": "[Errno 24] Too many open files", "silenced": 999}, False),
    ]
