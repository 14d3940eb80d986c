"""A stream that begins before its answer, for a client that would give up: signs of life, then the answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.server.early import DEFAULT_TIMEOUT_S, timeout_of, wants_stream
from tests.server.raw_client import Answered, RawClient, raw_client, request
from tests.server.service import MODEL, config_for, message_body, running
from tests.upstream.raw import Exchange, good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PING = b"event: ping\n"
COMMENT = b": keep-alive\n"


async def ask_impatiently(client: RawClient, port: int, target: str, body: bytes, patience_s: str) -> None:
    data = request(port, target, body)
    await client.send(data.replace(b"\r\n\r\n", f"\r\nX-Stainless-Timeout: {patience_s}\r\n\r\n".encode(), 1))


async def answered_late(
    play: Callable[[Exchange], Awaitable[None]],
    *,
    target: str = "/v1/messages",
    sign: bytes = PING,
    **body: Any,
) -> tuple[Answered, bytes]:
    """Let the upstream answer once the client has seen a sign of life; return head and the rest."""
    go_on = asyncio.Event()

    async def late(exchange: Exchange) -> None:
        await go_on.wait()
        await play(exchange)

    async with (
        raw_upstream(late) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
        asyncio.timeout(10),
    ):
        await ask_impatiently(client, service.port, target, message_body(stream=True, **body), "0.05")
        head = await client.head()
        before = await client.reader.readuntil(sign)
        go_on.set()
        rest = before + await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await service.idle()
        return head, rest


async def test_the_answer_follows_the_signs_of_life() -> None:
    head, rest = await answered_late(good_stream)
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert head.headers["request-id"].startswith("req_")
    assert rest.index(PING) < rest.index(b"event: message_start") < rest.index(b"event: message_stop")


async def test_an_answer_that_came_whole_follows_too() -> None:
    _, rest = await answered_late(good_completion)
    assert rest.count(b"event: message_start") == rest.count(b"event: message_stop") == 1


async def test_a_late_error_is_an_event() -> None:
    async def refuse(exchange: Exchange) -> None:
        said = {"error_code": "BAD_REQUEST", "message": "prompt is too long: 2 tokens > 1 maximum"}
        await exchange.answer(json.dumps(said), status=400)

    head, rest = await answered_late(refuse)
    assert head.status == 200
    assert rest.index(PING) < rest.index(b"event: error\ndata: ")
    assert b"prompt is too long: 2 tokens > 1 maximum" in rest
    assert b"message_stop" not in rest


async def test_openai_s_clients_get_comments() -> None:
    messages = [{"role": "user", "content": "hi"}]
    options: dict[str, Any] = {"target": "/v1/chat/completions", "sign": COMMENT, "messages": messages}
    _, rest = await answered_late(good_stream, model=MODEL, **options)
    assert rest.index(COMMENT) < rest.index(b"data: {")
    assert b"event:" not in rest
    _, rest = await answered_late(good_completion, model=MODEL, **options)
    assert rest.index(COMMENT) < rest.index(b"data: {") < rest.index(b"data: [DONE]")
    assert b'"object":"chat.completion.chunk"' in rest, "an answer that came whole follows, too"
    assert b"event:" not in rest


async def test_clients_of_the_responses_api_get_comments_and_both_of_its_errors() -> None:
    options: dict[str, Any] = {"target": "/v1/responses", "sign": COMMENT, "input": "hi", "model": MODEL}
    _, rest = await answered_late(good_stream, **options)
    assert rest.index(COMMENT) < rest.index(b"response.created") < rest.index(b"response.completed")

    async def refuse(exchange: Exchange) -> None:
        said = {"error_code": "BAD_REQUEST", "message": "prompt is too long: 2 tokens > 1 maximum"}
        await exchange.answer(json.dumps(said), status=400)

    head, rest = await answered_late(refuse, **options)
    assert head.status == 200
    assert rest.index(COMMENT) < rest.index(b"event: error\n") < rest.index(b"event: response.failed\n")
    assert rest.count(b"context_length_exceeded") == 3


@pytest.mark.parametrize(("patience_s", "stream"), [("600", True), ("0.05", False), ("soon", True)])
async def test_nothing_begins_early_for_a_patient_client_or_without_a_stream(
    patience_s: str, *, stream: bool
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await asyncio.sleep(0.1)  # longer than the impatient client's share
        await exchange.answer("no", status=500)

    async with (
        raw_upstream(refuse) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        body = message_body(stream=stream)
        await ask_impatiently(client, service.port, "/v1/messages", body, patience_s)
        answered = await client.answer()
        assert (answered.status, answered.json["type"]) == (500, "error")


async def test_a_client_that_leaves_takes_its_request_along() -> None:
    async def never(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(never) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client, asyncio.timeout(10):
            body = message_body(stream=True)
            await ask_impatiently(client, service.port, "/v1/messages", body, "0.05")
            await client.reader.readuntil(PING)
        await service.idle()
        assert [record["outcome"] for record in service.records] == ["cancelled"]


async def test_a_service_that_stops_says_so_in_the_stream() -> None:
    async def never(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with (
        raw_upstream(never) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
        asyncio.timeout(10),
    ):
        await ask_impatiently(client, service.port, "/v1/messages", message_body(stream=True), "0.05")
        await client.reader.readuntil(PING)
        service.app.front.cut()
        assert b"overloaded_error" in await client.reader.readuntil(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("600", 600), ("0.5", 0.5), (None, 600), ("", 600), ("x", 600), ("-1", 600), ("nan", 600), ("1e9", 600)],
)
def test_how_long_a_client_waits(header: str | None, seconds: float) -> None:
    assert DEFAULT_TIMEOUT_S == 600
    assert timeout_of(header) == seconds


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"stream":true}', True),
        (b'{"stream":null}', False),
        (b"{}", False),
        (b"{", False),
        (b"\xff", False),
    ],
)
def test_whether_a_stream_is_asked_for(body: bytes, *, expected: bool) -> None:
    assert wants_stream(body) is expected
