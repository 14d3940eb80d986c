"""Streams that break off and are gone on with, over real sockets, in both formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Network, Provider, Secret
from ccr.gateway.patience import Patience
from ccr.protocol.recovery import INSTRUCTION
from tests.gateway.test_fallback import config, post, status
from tests.gateway.test_messages import events, text_of
from tests.server.service import running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    Play,
    RawUpstream,
    chunk_of,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)

if TYPE_CHECKING:
    from tests.server.raw_client import Answered

BUDGET_MODEL = "databricks-claude-sonnet-4-5"
ADAPTIVE_MODEL = "databricks-claude-opus-4-6"


def provider(raw: RawUpstream, model: str = BUDGET_MODEL, **changes: Any) -> Provider:
    api = changes.pop("api", "chat")
    path = "/v1/messages" if api == "anthropic" else "/chat/completions"
    return Provider(
        name="a",
        url=raw.url + path,
        api_key=Secret("k"),
        models=(model,),
        api=api,
        network=Network(**{"recover": True, **changes}),
    )


def breaking(*data: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for each in data:
            await exchange.chunk(each)
        exchange.reset()

    return play


def ending(*data: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for each in data:
            await exchange.chunk(each)
        await exchange.end()

    return play


def kinds(answered: Answered) -> list[str]:
    return [event["type"].removeprefix("content_block_") for event in events(answered)]


@pytest.mark.parametrize("play", [breaking(text_chunk("Good ")), ending(text_chunk("Good "))])
async def test_the_text_goes_on(play: Play) -> None:
    async with (
        raw_upstream(play, ending(text_chunk(" mor"), text_chunk("ning"), FINISH, DONE)) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        found = events(answered)
        assert kinds(answered) == [
            *("message_start", "start", "delta", "delta", "delta", "stop"),
            *("message_delta", "message_stop"),
        ]
        assert text_of(found) == "Good morning"
        assert json.loads(raw.got[1].body)["messages"][-1] == {"role": "assistant", "content": "Good"}
        await service.idle()
        (record,) = service.records
        assert record["outcome"] == "ok"
        assert "answer_continued" in record["rules"]
        status_of = service.app.gateway.status()["upstream"]["a"]
        assert status_of["active"] == 0


async def test_a_model_that_takes_no_prefill_is_told() -> None:
    async with (
        raw_upstream(breaking(text_chunk("Good")), good_stream) as raw,
        running(config(provider(raw, ADAPTIVE_MODEL))) as service,
    ):
        answered = await post(service, stream=True)
        assert text_of(events(answered)) == "Goodhello"
        messages = json.loads(raw.got[1].body)["messages"]
        assert [each["role"] for each in messages[-2:]] == ["assistant", "user"]
        assert INSTRUCTION in str(messages[-1]["content"])


async def test_before_any_text_it_is_asked_again() -> None:
    async with (
        raw_upstream(breaking(), good_stream) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        assert text_of(events(answered)) == "hello"
        assert raw.got[0].body == raw.got[1].body


async def test_silence_is_a_break_as_well() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("Good "))
        await exchange.until_closed()

    async with (
        raw_upstream(silent, good_stream) as raw,
        running(config(provider(raw)), patience=Patience(ping_s=0.01, idle_s=0.03)) as service,
    ):
        answered = await post(service, stream=True)
        assert text_of(events(answered)) == "Good hello"


@pytest.mark.parametrize(
    "begun",
    [
        chunk_of(delta={"reasoning_content": "hm"}),
        text_chunk("x")
        + chunk_of(
            delta={"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}]}
        ),
    ],
)
async def test_only_text_is_gone_on_with(begun: str) -> None:
    async with (
        raw_upstream(breaking(begun), good_stream) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        assert kinds(answered)[-1] == "error"
        assert len(raw.got) == 1


@pytest.mark.parametrize("rest", [status(400), good_completion])
async def test_when_it_does_not_work_out_the_client_gets_the_first_error(rest: Play) -> None:
    async with (
        raw_upstream(breaking(text_chunk("Good")), rest) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        last = events(answered)[-1]
        assert last["type"] == "error"
        assert "before its answer was complete" in last["error"]["message"]
        assert len(raw.got) == 2
        await service.idle()
        assert service.app.gateway.status()["upstream"]["a"]["active"] == 0


async def test_an_answer_is_gone_on_with_twice_at_most() -> None:
    async with (
        raw_upstream(breaking(text_chunk("a"))) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        found = events(answered)
        assert text_of(found) == "aaa"
        assert found[-1]["type"] == "error"
        assert len(raw.got) == 3


def failing(kind: str, *, is_native: bool = False) -> str:
    said = json.dumps({"type": "error", "error": {"type": kind, "message": "it is so"}})
    return f"event: error\ndata: {said}\n\n" if is_native else f"data: {said}\n\n"


@pytest.mark.parametrize("kind", ["overloaded_error", "api_error", "timeout_error"])
async def test_an_error_that_passes_is_a_break(kind: str) -> None:
    broken = ending(text_chunk("Good "), failing(kind))
    at_once = ending(text_chunk("Good ") + failing(kind))
    for first in (broken, at_once):
        async with (
            raw_upstream(first, ending(text_chunk("morning"), FINISH, DONE)) as raw,
            running(config(provider(raw))) as service,
        ):
            answered = await post(service, stream=True)
            assert text_of(events(answered)) == "Good morning"
            assert kinds(answered)[-2:] == ["message_delta", "message_stop"]
            assert json.loads(raw.got[1].body)["messages"][-1]["content"] == "Good"
            await service.idle()
            (record,) = service.records
            assert record["outcome"] == "ok"
            assert "answer_continued" in record["rules"]


@pytest.mark.parametrize("kind", ["invalid_request_error", "rate_limit_error", "permission_error"])
async def test_an_error_that_stays_is_told(kind: str) -> None:
    async with (
        raw_upstream(ending(text_chunk("Good "), failing(kind)), good_stream) as raw,
        running(config(provider(raw))) as service,
    ):
        answered = await post(service, stream=True)
        assert kinds(answered)[-1] == "error"
        assert "it is so" in events(answered)[-1]["error"]["message"]
        assert len(raw.got) == 1


async def test_an_error_is_told_when_it_cannot_be_gone_on_with() -> None:
    for rest in (status(400), ending(failing("overloaded_error"))):
        async with (
            raw_upstream(ending(text_chunk("Good "), failing("overloaded_error")), rest) as raw,
            running(config(provider(raw))) as service,
        ):
            answered = await post(service, stream=True)
            assert text_of(events(answered)) == "Good "
            assert kinds(answered)[-1] == "error"
            assert kinds(answered).count("error") == 1
            assert len(raw.got) >= 2


async def test_nobody_asked_for_it() -> None:
    async with (
        raw_upstream(breaking(text_chunk("a"))) as raw,
        running(config(provider(raw, recover=False))) as service,
    ):
        assert kinds(await post(service, stream=True))[-1] == "error"
        assert len(raw.got) == 1


# -- the other format ------------------------------------------------------------------------------------


def native(name: str, **values: Any) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n"


def native_text(text: str) -> str:
    return native("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


HEAD = native(
    "message_start",
    message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}},
)
START = native("content_block_start", index=0, content_block={"type": "text", "text": ""})
TAIL = (
    native("content_block_stop", index=0)
    + native("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
    + native("message_stop")
)


async def test_the_native_route_goes_on_as_well() -> None:
    rest = ending(HEAD + START + native_text(" mor"), native_text("ning"), TAIL)
    async with (
        raw_upstream(breaking(HEAD + START + native_text("Good ")), rest) as raw,
        running(config(provider(raw, "claude-sonnet-4-5", api="anthropic"))) as service,
    ):
        answered = await post(service, stream=True)
        assert kinds(answered) == [
            *("message_start", "start", "delta", "delta", "delta", "stop"),
            *("message_delta", "message_stop"),
        ]
        assert text_of(events(answered)) == "Good morning"
        assert json.loads(raw.got[1].body)["messages"][-1] == {"role": "assistant", "content": "Good"}
        await service.idle()
        assert service.records[0]["output_tokens"] == 7


async def test_an_error_in_a_native_stream_is_a_break_as_well() -> None:
    begun = HEAD + START + native_text("Good ")
    async with (
        raw_upstream(
            ending(begun, failing("overloaded_error", is_native=True)),
            ending(HEAD + START + native_text("morning"), TAIL),
        ) as raw,
        running(config(provider(raw, "claude-sonnet-4-5", api="anthropic"))) as service,
    ):
        answered = await post(service, stream=True)
        assert text_of(events(answered)) == "Good morning"
        assert kinds(answered)[-1] == "message_stop"
        assert len(raw.got) == 2


async def test_an_error_of_the_request_in_a_native_stream_is_told_as_it_came() -> None:
    said = failing("invalid_request_error", is_native=True)
    async with (
        raw_upstream(ending(HEAD + START + native_text("Good "), said)) as raw,
        running(config(provider(raw, "claude-sonnet-4-5", api="anthropic"))) as service,
    ):
        answered = await post(service, stream=True)
        assert answered.body.decode().endswith(said)
        assert len(raw.got) == 1
