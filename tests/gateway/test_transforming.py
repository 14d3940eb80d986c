"""Requests and answers through transformers of the person's own, over real sockets, on both fronts."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.errors import ApiError
from ccr.gateway.patience import Patience
from ccr.sandbox import Script, Turn, Workspace
from ccr.transformers.base import ChunkStep, Target
from tests.gateway.transformed import step, transformed_by
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, UPSTREAM_KEY, Service, message_body
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.transformers.base import Chunk, Completion, Context, Transformer

FRONTS = ["/v1/messages", "/v1/chat/completions"]
MODES = [False, True]


async def post(service: Service, path: str = "/v1/messages", **changes: Any) -> Answered:
    return await ask(service.port, request(service.port, path, message_body(model=MODEL, **changes)))


class Shout(ChunkStep):
    """Capitals in everything that is said; adds a mark at the end."""

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        for choice in chunk["choices"]:
            content = choice["delta"].get("content")
            if isinstance(content, str):
                choice["delta"]["content"] = content.upper()
        return (chunk,)


class Keep(ChunkStep):
    """Says everything at the end."""

    def __init__(self) -> None:
        self.kept: list[Chunk] = []

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        self.kept.append(chunk)
        return ()

    def end(self) -> Iterable[Chunk]:
        return self.kept


class Bad(ChunkStep):
    """Fails at the second text."""

    def __init__(self, error: Exception, at: str = "chunk") -> None:
        self.count = 0
        self.error = error
        self.at = at

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        self.count += 1
        if self.at == "chunk" and self.count == 2:
            raise self.error
        return (chunk,)

    def end(self) -> Iterable[Chunk]:
        if self.at == "end":
            raise self.error
        return ()


def shouting() -> Transformer:
    def whole(completion: Completion, _context: Context) -> Completion:
        message = completion["choices"][0]["message"]
        message["content"] = message["content"].upper()
        return completion

    return step("completion", whole, "shouting", stream=lambda _self, _context: Shout())


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize("path", FRONTS)
async def test_a_strict_workspace(path: str, *, stream: bool) -> None:
    capped = step("request", lambda chat, _context: {**chat, "max_tokens": 7}, "capped")
    named = step("target", lambda target, _: target._replace(headers={"x-mine": "1"}), "named")
    async with Workspace(Script(turns=[Turn(text="hello there")]), token=UPSTREAM_KEY) as workspace:
        async with transformed_by(workspace.url, capped, named, shouting()) as service:
            answered = await post(service, path, stream=stream)
        (record,) = workspace.requests
    assert record.status == 200, record
    assert record.json is not None
    assert record.json["max_tokens"] == 7
    assert record.headers["x-mine"] == "1"
    text = answered.body.decode()
    assert "hel" not in text
    assert "HEL" in text


async def test_answers_nobody_looks_at_are_the_upstreams_bytes() -> None:
    async with (
        raw_upstream(good_stream) as raw,
        transformed_by(raw.url, step("request", lambda chat, _: chat)) as service,
    ):
        answered = await post(service, "/v1/chat/completions", stream=True)
        assert answered.body.decode() == text_chunk("hel") + text_chunk("lo") + FINISH + DONE


async def test_a_stream_that_no_step_looks_at() -> None:
    silent = step("stream", lambda _context: None)
    async with raw_upstream(good_stream) as raw, transformed_by(raw.url, silent) as service:
        answered = await post(service, "/v1/chat/completions", stream=True)
        assert answered.body.decode() == text_chunk("hel") + text_chunk("lo") + FINISH + DONE


@pytest.mark.parametrize("path", FRONTS)
async def test_what_is_kept_until_the_end_arrives(path: str) -> None:
    async with raw_upstream(good_stream) as raw:
        async with transformed_by(raw.url, step("stream", lambda _: Keep())) as service:
            answered = await post(service, path, stream=True)
            await post(service, path, stream=True)
        assert "hel" in answered.body.decode()
        assert raw.connections == 1


async def test_what_is_kept_arrives_although_the_upstream_never_ends() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH)
        await exchange.until_closed()

    patience = Patience(ping_s=0.05, last_bytes_s=0.05)
    async with (
        raw_upstream(play) as raw,
        transformed_by(raw.url, step("stream", lambda _: Keep()), patience=patience) as service,
    ):
        answered = await post(service, stream=True)
        assert '"text":"hello"' in answered.body.decode()
        assert "message_stop" in answered.body.decode()


async def test_the_client_gets_signs_of_life_while_a_step_keeps_everything() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        while not go_on.is_set():
            await exchange.chunk(text_chunk("x"))
            await asyncio.sleep(0.01)
        await exchange.chunk(FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        transformed_by(
            raw.url, step("stream", lambda _: Keep()), patience=Patience(ping_s=0.03, idle_s=0.2)
        ) as service,
    ):
        asking = asyncio.create_task(post(service, stream=True))
        await asyncio.sleep(0.3)  # longer than the upstream may be silent
        go_on.set()
        answered = await asking
        assert "event: ping" in answered.body.decode()
        assert "message_stop" in answered.body.decode()


async def test_half_surrogates_are_counted() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        chunk = text_chunk("?").replace("?", "\\ud83d")
        await exchange.chunk(chunk + chunk + FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, transformed_by(raw.url, shouting()) as service:
        answered = await post(service, stream=True)
        assert "\ufffd" in answered.body.decode()
        assert service.records[0]["rules"] == ["half_surrogate_replaced"]


async def test_half_surrogates_in_a_whole_answer() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion("a?").replace("a?", "a\\ud83d"))

    async with raw_upstream(play) as raw, transformed_by(raw.url, shouting()) as service:
        assert (await post(service)).json["content"][0]["text"] == "A\ufffd"


@pytest.mark.parametrize("body", ["{broken", '{"error":{"message":"busy"}}', "[]"])
async def test_a_whole_answer_that_is_none_passes_as_it_is(body: str) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body)

    def never(_value: object, _context: object) -> object:
        raise AssertionError("it is no completion")

    async with raw_upstream(play) as raw, transformed_by(raw.url, step("completion", never)) as service:
        answered = await post(service)
        assert "transformer" not in answered.body.decode()
        assert answered.status == 502


@pytest.mark.parametrize("path", FRONTS)
async def test_an_oversized_event_is_the_upstreams_fault(path: str) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for _ in range(17):
            await exchange.chunk(b"data: " + b"x" * (1 << 20))
        await exchange.until_closed()

    async with raw_upstream(play) as raw, transformed_by(raw.url, shouting()) as service:
        answered = await post(service, path, stream=True)
        assert "larger than" in answered.body.decode()


# -- failures


def failing(*_arguments: object) -> object:
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize("stream", MODES)
@pytest.mark.parametrize("path", FRONTS)
@pytest.mark.parametrize("hook", ["request", "target", "stream", "completion"])
async def test_a_hook_that_fails_fails_its_request_only(hook: str, path: str, *, stream: bool) -> None:
    play = good_stream if stream else good_completion
    async with raw_upstream(play) as raw, transformed_by(raw.url, step(hook, failing)) as service:
        answered = await post(service, path, stream=stream)
        if {"stream": not stream, "completion": stream}.get(hook):
            assert answered.status == 200
            return
        assert answered.status == 500
        said = f"the transformer mine failed in {hook}: ZeroDivisionError: by zero"
        assert said in answered.body.decode()
        assert answered.headers["x-should-retry"] == "false"
        (entry,) = [entry for entry in service.log if entry.getMessage() == "a transformer failed"]
        assert entry.exc_info is not None
        assert isinstance(entry.exc_info[1], ZeroDivisionError)
        assert service.records[0]["error"] == said
        assert len(raw.got) == (0 if hook in ("request", "target") else 1)
        await service.idle()


@pytest.mark.parametrize("path", FRONTS)
@pytest.mark.parametrize("at", ["chunk", "end"])
async def test_a_failure_in_the_middle_of_a_stream_is_an_event(path: str, at: str) -> None:
    bad = step("stream", lambda _: Bad(ValueError("no"), at))
    async with raw_upstream(good_stream) as raw, transformed_by(raw.url, bad) as service:
        answered = await post(service, path, stream=True)
        assert answered.status == 200
        text = answered.body.decode()
        assert "hel" in text
        assert f"the transformer mine failed in {at}: ValueError: no" in text
        assert "message_stop" not in text
        assert "[DONE]" not in text
        await service.idle()
        assert service.records[0]["outcome"] == "error"


@pytest.mark.parametrize("path", FRONTS)
async def test_a_steps_own_word_to_the_client(path: str) -> None:
    bad = step("stream", lambda _: Bad(ApiError(429, "not so fast")))
    async with raw_upstream(good_stream) as raw, transformed_by(raw.url, bad) as service:
        answered = await post(service, path, stream=True)
        assert '"not so fast"' in answered.body.decode()
        assert not [entry for entry in service.log if entry.getMessage() == "a transformer failed"]


# -- where requests go


async def test_a_request_may_go_elsewhere_without_the_key() -> None:
    async with raw_upstream(good_completion) as raw, raw_upstream(good_completion) as other:
        away = step("target", lambda target, _: target._replace(url=f"{other.url}/x?y=1"))
        async with transformed_by(raw.url, away) as service:
            assert (await post(service)).status == 200
        assert raw.got == []
        (got,) = other.got
        assert got.head.startswith("POST /x?y=1 ")
        assert "authorization" not in got.headers
        assert UPSTREAM_KEY not in got.head


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-a": "1"}, f"Bearer {UPSTREAM_KEY}"),
        ({"Authorization": "Bearer mine"}, "Bearer mine"),
        ({"authorization": None}, None),
    ],
)
async def test_who_signs(headers: dict[str, str | None], expected: str | None) -> None:
    async with raw_upstream(good_completion) as raw:
        signing = step("target", lambda target, _: Target(target.url + "?v=2", headers))
        async with transformed_by(raw.url, signing) as service:
            assert (await post(service)).status == 200
        (got,) = raw.got
        assert got.head.startswith(f"POST /serving-endpoints/{MODEL}/invocations?v=2 ")
        assert got.headers.get("authorization") == expected


async def test_a_key_of_the_steps_own_goes_elsewhere() -> None:
    async with raw_upstream(good_completion) as other:
        away = step("target", lambda *_: Target(f"{other.url}/x", {"authorization": "Bearer mine"}))
        async with transformed_by("http://127.0.0.1:9", away) as service:
            assert (await post(service)).status == 200
        assert other.got[0].headers["authorization"] == "Bearer mine"


async def test_a_request_in_another_format_goes_as_it_is() -> None:
    other = step("request", lambda chat, _: {"contents": [chat["messages"][0]["content"]]})
    async with raw_upstream(good_completion) as raw, transformed_by(raw.url, other) as service:
        assert (await post(service)).status == 200
        assert json.loads(raw.got[0].body) == {"contents": ["hello"]}


async def test_the_refusal_of_a_request_in_another_format() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer('{"error":{"message":"unknown field contents"}}', 400)

    other = step("request", lambda *_: {"contents": []})
    async with raw_upstream(play) as raw, transformed_by(raw.url, other) as service:
        answered = await post(service)
        assert answered.status == 400
        assert "unknown field contents" in answered.body.decode()
