"""Streams that fail before their first event: nothing has reached the client, so they count like a status."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Network, Provider, Secret
from ccr.gateway.patience import Patience
from ccr.upstream.breaker import MAX_FAILURES
from ccr.upstream.trying import Pace
from tests.gateway.native_service import events as events_of
from tests.gateway.test_fallback import CHAT, MESSAGES, config, post
from tests.gateway.test_recovery import HEAD, START, TAIL, native, native_text
from tests.server.raw_client import raw_client, request
from tests.server.service import message_body, running
from tests.upstream.raw import DONE, FINISH, Exchange, Play, good_stream, raw_upstream, stream_of, text_chunk

if TYPE_CHECKING:
    from ccr.config.model import Config
    from tests.server.service import Service

NATIVE = "native"
LINES = (MESSAGES, CHAT, NATIVE)
OVERLOADED = '{"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}'


def error(said: str, line: str) -> str:
    return f"{'event: error' if line == NATIVE else ': busy'}\ndata: {said}\n\n"


def answering(line: str) -> Play:
    """Answer well, in the format of a line's upstream."""
    return stream_of(HEAD + START + native_text("hello") + TAIL) if line == NATIVE else good_stream


def provider(name: str, url: str, line: str, **changes: Any) -> Provider:
    network = Network(retries=changes.pop("retries", 0))
    path = "/v1/messages" if line == NATIVE else "/chat/completions"
    return Provider(
        name=name,
        url=url + path,
        api_key=Secret(f"key-of-{name}"),
        models=("m",),
        api="anthropic" if line == NATIVE else "chat",
        network=network,
        **changes,
    )


async def asked(service: Service, line: str) -> Any:
    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    service.app.upstream._pace = Pace(sleep=no_pause)
    return await post(service, CHAT if line == CHAT else MESSAGES, stream=True)


def two(a: Provider, b: Provider) -> Config:
    return config(a, b, chain=("b,m",))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.fault("S72", outcome="so is an error in place of a stream's first event")
async def test_an_error_is_sent_again_by_its_status(line: str) -> None:
    busy = stream_of(error(OVERLOADED, line))
    async with (
        raw_upstream(busy, busy, answering(line)) as raw,
        running(config(provider("a", raw.url, line, retries=2))) as service,
    ):
        answered = await asked(service, line)
        assert answered.status == 200
        assert b"hel" in answered.body
        assert b"too busy" not in answered.body
        assert len(raw.got) == 3
        await service.idle()
        (record,) = service.records
        assert (record["failed"], record["retries"], record["outcome"]) == (["a,m: 529"] * 2, 2, "ok")
        assert service.app.gateway.status()["upstream"]["a"]["active"] == 0


@pytest.mark.parametrize("line", LINES)
@pytest.mark.fault("S79", outcome="a stream that fails before its first event counts as a failed route")
@pytest.mark.parametrize(
    "play",
    [
        lambda line: stream_of(error(OVERLOADED, line)),
        lambda _: stream_of(is_cut=True),
        lambda _: stream_of(": nothing yet\n\n"),
    ],
    ids=["error", "reset", "end"],
)
async def test_the_next_route_answers(line: str, play: Any) -> None:
    async with (
        raw_upstream(play(line)) as a,
        raw_upstream(answering(line)) as b,
        running(two(provider("a", a.url, line), provider("b", b.url, line))) as service,
    ):
        answered = await asked(service, line)
        assert answered.status == 200
        assert b"hel" in answered.body
        await service.idle()
        (record,) = service.records
        assert (record["provider"], record["outcome"], len(record["failed"])) == ("b", "ok", 1)
        assert [each["active"] for each in service.app.gateway.status()["upstream"].values()] == [0, 0]


@pytest.mark.parametrize("line", LINES)
async def test_streams_that_never_begin_open_the_breaker(line: str) -> None:
    async with (
        raw_upstream(stream_of(is_cut=True)) as raw,
        running(config(provider("a", raw.url, line, retries=2))) as service,
    ):
        for _ in range(MAX_FAILURES):
            assert (await asked(service, line)).status == 502
        answered = await asked(service, line)
        assert (answered.status, len(raw.got)) == (503, MAX_FAILURES)
        assert "not asked" in answered.json["error"]["message"]


@pytest.mark.parametrize("line", LINES)
async def test_without_another_route_the_client_gets_the_status(line: str) -> None:
    async with (
        raw_upstream(stream_of(error(OVERLOADED, line))) as raw,
        running(config(provider("a", raw.url, line))) as service,
    ):
        answered = await asked(service, line)
        assert answered.status == 529
        assert "too busy" in answered.json["error"]["message"]
        assert "x-should-retry" not in answered.headers


@pytest.mark.parametrize("line", LINES)
async def test_another_key_is_tried(line: str) -> None:
    limit = '{"error": {"type": "rate_limit_error", "message": "slow down", "retry_after": 40}}'
    async with raw_upstream(stream_of(error(limit, line)), answering(line)) as raw:
        to = provider("a", raw.url, line, retries=2, more_keys=(Secret("other-key"),))
        async with running(config(to)) as service:
            assert (await asked(service, line)).status == 200
            keys = [got.headers["authorization"] for got in raw.got]
            assert keys == ["Bearer key-of-a", "Bearer other-key"]
            assert service.app.gateway.status()["upstream"]["a"]["keys"]["cooling"] == 1


@pytest.mark.parametrize("line", [MESSAGES, NATIVE])
async def test_a_wrong_request_is_told_once(line: str) -> None:
    said = '{"error": {"type": "invalid_request_error", "message": "Input is too long for requested model."}}'
    async with (
        raw_upstream(stream_of(error(said, line))) as a,
        raw_upstream(answering(line)) as b,
        running(two(provider("a", a.url, line, retries=2), provider("b", b.url, line))) as service,
    ):
        answered = await asked(service, line)
        assert answered.status == 400
        assert answered.json["error"]["message"].startswith("prompt is too long")
        assert (len(a.got), len(b.got)) == (1, 0)


@pytest.mark.parametrize("first", ["data: {not json\n\n", DONE, text_chunk("")], ids=["bad", "done", "role"])
async def test_other_failures_before_any_content(first: str) -> None:
    """The error is found by the conversion, after the first event: another route may still answer."""
    async with (
        raw_upstream(stream_of(first, error(OVERLOADED, MESSAGES))) as a,
        raw_upstream(good_stream) as b,
        running(two(provider("a", a.url, MESSAGES), provider("b", b.url, MESSAGES))) as service,
    ):
        answered = await asked(service, MESSAGES)
        assert answered.status == 200
        assert b"hel" in answered.body
        assert (len(a.got), len(b.got)) == (1, 1)


async def test_content_that_reached_the_client_is_never_repeated() -> None:
    both = text_chunk("hel") + error(OVERLOADED, MESSAGES)
    async with (
        raw_upstream(stream_of(both)) as a,
        raw_upstream(good_stream) as b,
        running(two(provider("a", a.url, MESSAGES), provider("b", b.url, MESSAGES))) as service,
    ):
        answered = await asked(service, MESSAGES)
        assert [event["type"] for event in events_of(answered)][-1] == "error"
        assert (len(a.got), len(b.got)) == (1, 0)


@pytest.mark.parametrize("line", LINES)
async def test_an_upstream_that_takes_its_time(line: str) -> None:
    """The client is told that it is being answered, and of an error as the last event."""
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await go_on.wait()
        await exchange.chunk(error(OVERLOADED, line))
        await exchange.end()

    async with (
        raw_upstream(play) as a,
        raw_upstream(answering(line)) as b,
        running(
            two(provider("a", a.url, line), provider("b", b.url, line)), patience=Patience(ping_s=0.01)
        ) as service,
        raw_client(service.port) as client,
    ):
        target = CHAT if line == CHAT else MESSAGES
        await client.send(request(service.port, target, message_body(stream=True)))
        async with asyncio.timeout(5):
            for _ in range(2):
                await client.reader.readuntil(b": keep-alive\n\n" if line == CHAT else b"event: ping")
            go_on.set()
            rest = await client.reader.readuntil(b"0\r\n\r\n")
        assert b"too busy" in rest
        assert (len(a.got), len(b.got)) == (1, 0)


async def test_no_sign_of_life_stands_inside_an_event() -> None:
    """What an OpenAI client gets is relayed in whole events, and comments stand between them."""
    go_on = asyncio.Event()
    piece = text_chunk("hello")

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(piece[:20])
        await go_on.wait()
        await exchange.chunk(piece[20:] + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(config(provider("a", raw.url, CHAT)), patience=Patience(ping_s=0.01)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, CHAT, message_body(stream=True)))
        async with asyncio.timeout(5):
            before = await client.reader.readuntil(b": keep-alive\n\n")
            go_on.set()
            rest = await client.reader.readuntil(b"[DONE]")
        assert piece[:20].encode() not in before
        assert piece.encode() in rest


@pytest.mark.parametrize("line", LINES)
async def test_an_upstream_that_says_nothing_at_all(line: str) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.until_closed()

    patience = Patience(ping_s=0.02, idle_s=0.02)
    async with (
        raw_upstream(silent) as a,
        raw_upstream(answering(line)) as b,
        running(two(provider("a", a.url, line), provider("b", b.url, line)), patience=patience) as service,
    ):
        answered = await asked(service, line)
        assert b"hel" in answered.body
        assert len(b.got) == 1


@pytest.mark.parametrize("line", LINES)
async def test_a_head_without_a_first_event_is_late_after_the_provider_s_own_time(line: str) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.until_closed()

    async with raw_upstream(silent) as raw:
        to = provider("a", raw.url, line)
        timeouts = replace(to.network.timeouts, first_byte_s=0.05)
        to = replace(to, network=replace(to.network, timeouts=timeouts))
        async with running(config(to), patience=Patience(ping_s=3600)) as service, asyncio.timeout(20):
            answered = await asked(service, line)
            assert answered.status == 504
            assert "a sent nothing for" in answered.json["error"]["message"]


@pytest.mark.parametrize("line", LINES)
async def test_a_client_that_leaves_before_the_first_event(line: str) -> None:
    closed = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(silent) as raw, running(config(provider("a", raw.url, line))) as service:
        async with raw_client(service.port) as client:
            target = CHAT if line == CHAT else MESSAGES
            await client.send(request(service.port, target, message_body(stream=True)))
            await raw.until(1)
        async with asyncio.timeout(5):
            await closed.wait()
        await service.idle()
        assert service.records[0]["outcome"] == "cancelled"
        assert service.app.gateway.status()["upstream"]["a"]["active"] == 0


async def test_a_short_time_between_two_bytes_counts_from_the_first_on() -> None:
    """A provider's `idle` may be shorter than the time between two pings."""

    async def silent(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.until_closed()

    async with raw_upstream(silent) as raw:
        to = provider("a", raw.url, MESSAGES)
        timeouts = replace(to.network.timeouts, idle_s=0.05)
        to = replace(to, network=replace(to.network, timeouts=timeouts))
        async with running(config(to), patience=Patience(ping_s=3600)) as service, asyncio.timeout(20):
            answered = await asked(service, MESSAGES)
            assert "sent nothing for" in json.dumps(events_of(answered)[-1])


async def test_names_of_events_that_are_no_error() -> None:
    """``message_start`` without a name has a `message`, as some errors do."""
    nameless = HEAD.partition("\n")[2]
    play = stream_of(nameless + START + native_text("hello") + TAIL)
    async with (
        raw_upstream(play) as raw,
        running(config(provider("a", raw.url, NATIVE))) as service,
    ):
        assert events_of(await asked(service, NATIVE))[0]["type"] == "message_start"
        assert native("message_stop").encode() in (await asked(service, NATIVE)).body


async def test_a_client_is_told_that_its_answer_begins_soon_after_the_head() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await go_on.wait()
        await exchange.chunk(text_chunk("hello") + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(config(provider("a", raw.url, CHAT)), patience=Patience(first_event_s=0.01)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, "/v1/messages", message_body(stream=True)))
        async with asyncio.timeout(5):
            await client.reader.readuntil(b"event: message_start")
            go_on.set()
            await client.reader.readuntil(b"event: message_stop")
