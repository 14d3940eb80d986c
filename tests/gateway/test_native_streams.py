"""Streams of the native route that break, lag, fall silent, or lose their client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ccr.gateway.patience import Patience
from ccr.sandbox import Fault, Script, Turn, Wire, Workspace
from tests.gateway.native_service import events, native_config, post
from tests.protocol.native_events import CONTENT, STOP, block, delta, end, sse, start
from tests.server.raw_client import raw_client, request
from tests.server.service import message_body, running
from tests.upstream.raw import Exchange, Play, raw_upstream

if TYPE_CHECKING:
    from tests.server.raw_client import Answered

TEXT = block(0, "text", delta(0, "text_delta", text="hello"), text="")
OPEN_BLOCK = sse("content_block_start", index=0, content_block={"type": "text", "text": ""})
QUICK = Patience(ping_s=0.01, keep_alive_after_s=0.03, keep_alive_every_s=0.02, idle_s=60, last_bytes_s=0.001)


def kinds(answered: Answered) -> list[str]:
    return [event["type"] for event in events(answered)]


async def cut_by_reset(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(start() + TEXT + end()[:30])
    await asyncio.sleep(0.02)  # a reset takes back what was not read yet
    exchange.reset()


async def cut_by_fin(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(start() + TEXT + end())
    exchange.writer.close()


async def cut_cleanly(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(start() + TEXT + end()[:30])
    await exchange.end()


async def error_event(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(start() + TEXT + b'data: {"error_code":"RESOURCE_EXHAUSTED","message":"slow"}\n\n')
    await exchange.chunk(end() + STOP)
    await exchange.end()


@pytest.mark.parametrize(
    ("play", "error_type", "said"),
    [
        (cut_by_reset, "api_error", "closed the connection"),
        (cut_by_fin, "api_error", "closed the connection"),
        (cut_cleanly, "api_error", "the answer was cut"),
        (error_event, "rate_limit_error", "slow"),
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error(play: Play, error_type: str, said: str) -> None:
    async with raw_upstream(play) as raw, running(native_config(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.status == 200
        last = events(answered)[-1]
        assert (last["type"], last["error"]["type"]) == ("error", error_type)
        assert said in last["error"]["message"]
        assert "message_stop" not in kinds(answered)
        record = service.records[0]
        assert (record["outcome"], record["error_type"]) == ("error", error_type)
        assert record["input_tokens"] == 9


async def test_the_end_may_lag_behind_the_stop_reason() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(start() + TEXT + end())
        await go_on.wait()
        await exchange.chunk(STOP)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(native_config(raw.url), patience=QUICK) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        await client.reader.readuntil(b"message_delta")
        await client.reader.readuntil(b"event: ping")
        go_on.set()
        assert b"error" not in await client.reader.readuntil(b"message_stop")
        await service.idle()
        assert service.records[0]["outcome"] == "ok"


async def test_signs_of_life_while_the_upstream_is_silent() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(start() + OPEN_BLOCK)
        await go_on.wait()
        await exchange.chunk(CONTENT[CONTENT.index(b"event: content_block_stop") :] + end() + STOP)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(native_config(raw.url), patience=QUICK) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        await client.reader.readuntil(b"event: ping")
        await client.reader.readuntil(b'"delta":{"type":"text_delta","text":""}')
        go_on.set()
        await client.reader.readuntil(b"message_stop")


async def test_a_ping_may_come_before_the_first_event() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await go_on.wait()
        await exchange.chunk(start() + TEXT + end() + STOP)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(native_config(raw.url), patience=QUICK) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        await client.reader.readuntil(b"event: ping")
        go_on.set()
        await client.reader.readuntil(b"message_stop")


async def test_an_upstream_that_stays_silent_is_given_up() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(start() + TEXT)
        await exchange.until_closed()

    patience = Patience(ping_s=0.02, idle_s=0.05)
    async with raw_upstream(play) as raw, running(native_config(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        assert "sent nothing" in events(answered)[-1]["error"]["message"]
        assert service.records[0]["outcome"] == "error"


async def test_a_client_that_leaves_takes_the_upstream_with_it() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(start() + TEXT)
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, running(native_config(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b"hello")
        async with asyncio.timeout(5):
            await closed.wait()
        await service.idle()
        assert service.records[0]["outcome"] == "cancelled"


@pytest.mark.parametrize(
    "wire",
    [
        Wire(split_bytes=3, newline="\r\n"),
        Wire(comments=True, extra_fields=True, newline="\r"),
        Wire(multi_line_data=True, space_after_colon=False),
    ],
)
async def test_any_form_of_events(wire: Wire) -> None:
    turns = [
        Turn(text="größe ☕🚀", wire=wire),
        Turn(text="größe ☕🚀", wire=wire, fault=Fault(kind="cut", how="end")),
    ]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(native_config(workspace.url, token=workspace.token)) as service,
    ):
        text = (await post(service, stream=True)).body
        assert b"event: message_stop" in text.replace(b"event:message_stop", b"event: message_stop")
        assert service.records[0]["outcome"] == "ok"
        assert service.records[0]["stop_reason"] == "end_turn"
        assert b"the answer was cut" in (await post(service, stream=True)).body
        assert service.records[1]["outcome"] == "error"
