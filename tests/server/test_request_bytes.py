"""Requests that are wrong as bytes: an answer in our shape or a closed connection, and no traceback."""

from __future__ import annotations

import asyncio

import pytest

from ccr.server import body as body_module
from ccr.server import connection as connection_module
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import KEY, Service, config_for, message_body, running
from tests.upstream.raw import good_completion, raw_upstream


def tracebacks(service: Service) -> list[str]:
    return [entry.getMessage() for entry in service.log if entry.exc_info]


HEAD = (
    "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n"
    "Content-Type: application/json\r\n"
)
BODY = message_body().decode()


@pytest.mark.parametrize(
    "rest",
    [
        f"Content-Length: {len(BODY)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 0_5\r\n\r\nhello",
        "Content-Length: 123456789012345678901234567890\r\n\r\nhello",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        "x: a\x00b\r\n\r\n",
        "x: a\nb: c\r\n\r\n",
        "x: a\rb: c\r\n\r\n",
        "x : y\r\n\r\n",
        "x: a\r\n folded\r\n\r\n",
        "x: " + "a" * 65536 + "\r\n\r\n",
        "".join(f"x{number}: y\r\n" for number in range(10_000)) + "\r\n",
    ],
)
@pytest.mark.fault("R25", outcome="400 and closed")
@pytest.mark.fault("R26", outcome="400 and closed")
@pytest.mark.fault("R27", outcome="400 and closed")
@pytest.mark.fault("R28", outcome="400 and closed")
@pytest.mark.fault("R29", outcome="400 and closed")
@pytest.mark.fault("R30", outcome="400 and closed")
@pytest.mark.fault("R31", outcome="400 and closed")
@pytest.mark.fault("R32", outcome="400 and closed")
async def test_malformed_requests_are_refused(rest: str) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = (HEAD.format(port=service.port, key=KEY) + rest).encode("latin-1")
        async with raw_client(service.port) as client:
            await client.send(data)
            answered = await client.answer()
            assert answered.status == 400
            assert answered.json["error"]["type"] == "invalid_request_error"
            assert await client.is_closed()
        assert not raw.got
        assert not tracebacks(service)
        assert (await ask(service.port, request(service.port, body=message_body()))).status == 200


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/2.0", "HTTP/1.9", "HTTP/0.9"])
@pytest.mark.fault("R28", outcome="400 and closed for chunks of any HTTP but 1.1")
async def test_chunks_are_of_http_1_1(version: str) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = request(service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",))
        data = data.replace(b"HTTP/1.1", version.encode(), 1) + b"2\r\n{}\r\n0\r\n\r\n"
        async with raw_client(service.port) as client:
            await client.send(data)
            assert (await client.answer()).status == 400
            assert await client.is_closed()
        assert not raw.got
        assert not tracebacks(service)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"hello\r\n\r\n",
        b"GET " + b"/" * 65536 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["tls", "http2", "bare-lf", "words", "long-url"],
)
@pytest.mark.fault("R33", outcome="400 and closed, one log line")
@pytest.mark.fault("R30", outcome="400")
@pytest.mark.fault("R32", outcome="400 for a URL of 64 KiB")
async def test_other_protocols_are_refused(data: bytes) -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        async with raw_client(service.port) as client:
            await client.send(data)
            assert (await client.answer()).status == 400
            assert await client.is_closed()
        assert not tracebacks(service)
        (entry,) = service.log
        assert entry.getMessage() == "bytes that are no HTTP request"


@pytest.mark.fault("R34", outcome="three answers in order")
async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service, raw_client(service.port) as client:
        one = request(service.port, "/health", method="GET")
        two = request(service.port, "/nothing", method="GET")
        await client.send(one + two + one)
        assert [(await client.answer()).status for _ in range(3)] == [200, 404, 200]


@pytest.mark.fault("R35", outcome="413 before a byte is read")
async def test_a_body_announced_too_large_is_refused_unread() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        size = body_module.MAX_BODY_BYTES + 1
        async with raw_client(service.port) as client:
            await client.send(
                request(service.port, "/v1/messages", b"", f"Content-Length: {size}", without=("length",))
            )
            answered = await client.answer()
        assert answered.status == 413
        assert answered.json["error"]["type"] == "request_too_large"
        assert answered.headers["connection"] == "close"
        assert not raw.got


@pytest.mark.fault("R35", outcome="413 as soon as the limit is passed")
async def test_a_body_that_becomes_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        monkeypatch.setattr(body_module.body_of, "__kwdefaults__", {"max_bytes": 1000})
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        async with raw_client(service.port) as client:
            head = request(
                service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",)
            )
            await client.send(head + chunk)
            assert (await client.answer()).status == 413
        async with raw_client(service.port) as client:
            await client.send(head + b"3\r\nabc\r\n")
            await asyncio.sleep(0.02)
            await client.send(chunk)
            assert (await client.answer()).status == 413
        whole = await ask(
            service.port,
            request(service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",))
            + chunk
            + b"0\r\n\r\n",
        )
        assert whole.status == 413
        assert not raw.got


async def test_a_chunked_body_is_read() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = message_body()
        pieces = [data[:10], data[10:]]
        async with raw_client(service.port) as client:
            await client.send(
                request(service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",))
            )
            for piece in pieces:
                await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0)
            await client.send(b"0\r\n\r\n")
            assert (await client.answer()).status == 200


@pytest.mark.fault("R36", outcome="the provider sees nothing; no traceback")
async def test_a_body_that_ends_early_goes_nowhere() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(
                request(service.port, "/v1/messages", b"abc", "Content-Length: 100", without=("length",))
            )
            client.writer.write_eof()
            assert await client.is_closed()
        assert not raw.got
        assert not tracebacks(service)


@pytest.mark.fault("R37", outcome="408 and closed")
async def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "PROGRESS_S", 0.05)
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(
                request(service.port, "/v1/messages", b"abc", "Content-Length: 100", without=("length",))
            )
            answered = await client.answer()
            assert answered.status == 408
            assert answered.headers["connection"] == "close"
        assert not raw.got


async def test_a_chunk_that_is_none_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    # in a packet of its own, the reader of the body hears nothing of it: its time runs out
    monkeypatch.setattr(body_module, "PROGRESS_S", 0.05)
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        head = request(service.port, "/v1/messages", b"", "Transfer-Encoding: chunked", without=("length",))
        async with raw_client(service.port) as client:
            await client.send(head + b"1\r\n{\r\n")
            await asyncio.sleep(0.02)
            await client.send(b"nonsense\r\n")
            assert (await client.answer()).status in (400, 408)
            assert await client.is_closed()
        assert not raw.got
        assert not tracebacks(service)


async def test_a_slow_body_that_makes_progress_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "PROGRESS_S", 0.1)
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = message_body(metadata={"user_id": "x" * 5000})
        async with raw_client(service.port) as client:
            whole = request(service.port, body=data)
            for at in range(0, len(whole), 1500):
                await client.send(whole[at : at + 1500])
                await asyncio.sleep(0.06)
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("start", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.fault("R37", outcome="closed after 10 s")
async def test_a_connection_without_a_request_is_closed(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "FIRST_REQUEST_S", 0.05)
    async with running(config_for("http://127.0.0.1:1")) as service:
        async with raw_client(service.port) as client:
            await client.send(start)
            assert await client.is_closed()
        assert not service.app.server._silent


async def test_a_connection_with_a_request_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "FIRST_REQUEST_S", 0.02)
    async with running(config_for("http://127.0.0.1:1")) as service, raw_client(service.port) as client:
        await client.send(request(service.port, "/health", method="GET"))
        await client.answer()
        assert not service.app.server._silent
        await client.send(request(service.port, "/health", method="GET"))
        assert (await client.answer()).status == 200


@pytest.mark.fault("R40", outcome="100, then the answer")
async def test_a_client_that_waits_is_told_to_go_on() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = message_body()
        async with raw_client(service.port) as client:
            whole = request(service.port, "/v1/messages", data, "Expect: 100-continue")
            await client.send(whole[: -len(data)])
            assert (await client.head()).status == 100
            await client.send(data)
            assert (await client.answer()).status == 200


async def test_a_client_that_is_refused_is_not_told_to_go_on() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            whole = request(service.port, "/v1/messages", b"x", "Expect: 100-continue", key="wrong")
            await client.send(whole[:-1])
            assert (await client.head()).status == 403
        assert not raw.got
