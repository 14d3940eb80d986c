"""Requests of the Responses API to providers that have the Messages API alone."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest

from ccr.gateway.native_response_reply import NativeResponseReply
from ccr.gateway.patience import Patience
from ccr.sandbox import AnthropicFake, Fault, Script, ToolCall, Turn
from tests.gateway.native_service import native_config
from tests.protocol.native_events import STOP, WHOLE, block, delta, end, start
from tests.protocol.response_oracle import check_grammar, new_stream
from tests.server.raw_client import Answered, ask, request
from tests.server.service import KEY, Service, running
from tests.upstream.raw import Exchange, Play, raw_upstream, stream_of

if TYPE_CHECKING:
    from ccr.config.model import Config

MODEL = "claude-sonnet-4-5"
TOOL = {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 2},
}


def config_of(url: str, **changes: Any) -> Config:
    return native_config(url, path="/v1/messages", models=(MODEL,), **changes)


async def post(service: Service, **changes: Any) -> Answered:
    data = json.dumps({"model": MODEL, "input": "hello", **changes}).encode()
    return await ask(service.port, request(service.port, "/v1/responses", data))


async def test_a_loop_with_thinking_on_anthropics_own_api() -> None:
    turns = (
        Turn(thinking="Hm.", text="Wait.", tools=[ToolCall("read", {"path": "/a"})]),
        Turn(thinking="Ah.", text="Done."),
    )
    asked: dict[str, Any] = {
        "model": MODEL,
        "instructions": "Be kind.",
        "tools": [TOOL],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
    }
    async with (
        AnthropicFake(Script(turns=turns)) as fake,
        running(config_of(fake.url)) as service,
        openai.AsyncOpenAI(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0) as client,
    ):
        async with client.responses.stream(input="Hello", **asked) as stream:
            response = await stream.get_final_response()
        *_, call = response.output
        assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
        assert call.type == "function_call"
        items: list[Any] = [{"role": "user", "content": "Hello"}]
        items += [item.to_dict() for item in response.output]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "text"})
        final = await client.responses.create(input=items, **asked)
        assert final.output_text == "Done."
        assert final.usage is not None
        assert final.usage.output_tokens > 0
        await service.idle()
        assert fake.refusals == []
        records = service.records
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    assert {record["route"] for record in records} == {"responses"}
    assert "effort_as_budget" in records[0]["rules"]
    assert len(records[0]["rules"]) == len(set(records[0]["rules"]))
    sent = fake.requests[1].body
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["thinking", "text", "tool_use"]


def message_of(body: bytes, kind: str = "application/json") -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, content_type=kind)

    return play


TEXT = block(0, "text", delta(0, "text_delta", text="hello"), text="")


async def test_a_whole_message_in_place_of_a_stream_is_an_error() -> None:
    async with (
        raw_upstream(message_of(json.dumps(MESSAGE).encode())) as raw,
        running(config_of(raw.url)) as service,
    ):
        answered = await post(service, stream=True)
        assert answered.status == 502


@pytest.mark.parametrize(
    "pieces", [(start() + TEXT,), (start(), TEXT, b"event: message_delta\ndata: {}\n\n")]
)
async def test_a_stream_that_breaks_off_has_failed(pieces: tuple[bytes, ...]) -> None:
    async with raw_upstream(stream_of(*pieces)) as raw, running(config_of(raw.url)) as service:
        answered = await post(service, stream=True)
        assert check_grammar(answered.body)["status"] == "failed"
        await service.idle()
        assert [record["outcome"] for record in service.records] == ["error"]


async def test_an_error_is_told_once() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
    async with (
        raw_upstream(stream_of(start() + TEXT, error)) as raw,
        running(config_of(raw.url)) as service,
    ):
        last = check_grammar((await post(service, stream=True)).body)
        assert (last["status"], last["error"]["message"].count("Busy")) == ("failed", 1)


async def test_a_message_that_is_none_is_an_error() -> None:
    odd = {**MESSAGE, "content": [{"type": "text"}]}
    async with (
        raw_upstream(message_of(json.dumps(odd).encode())) as raw,
        running(config_of(raw.url)) as service,
    ):
        answered = await post(service)
        assert answered.status == 502
        assert "no part of a message" in answered.json["error"]["message"]


class Silent:
    """A message that ends before it has begun."""

    def __init__(self) -> None:
        self.stream = SimpleNamespace(error=None)
        self.is_closed = False

    async def next(self) -> bytes:
        return b""

    def close(self) -> None:
        self.is_closed = True


async def test_a_message_of_nothing_has_failed() -> None:
    inner = Silent()
    reply = NativeResponseReply(cast("Any", inner), new_stream())
    assert check_grammar(await reply.next())["status"] == "failed"
    assert await reply.next() == b""
    reply.close()
    assert inner.is_closed


async def test_signs_of_life_are_comments() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(start() + TEXT)
        await asyncio.sleep(0.2)
        await exchange.chunk(end("end_turn") + STOP)
        await exchange.end()

    patience = Patience(ping_s=0.03)
    async with raw_upstream(play) as raw, running(config_of(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        assert b": keep-alive\n\n" in answered.body
        assert b"ping" not in answered.body
        assert check_grammar(answered.body.replace(b": keep-alive\n\n", b""))["status"] == "completed"


async def test_connections_are_kept() -> None:
    async with raw_upstream(stream_of(WHOLE)) as raw, running(config_of(raw.url)) as service:
        for _ in range(2):
            assert check_grammar((await post(service, stream=True)).body)["status"] == "completed"
            await service.idle()
        assert raw.connections == 1


async def test_errors_before_a_stream_keep_their_status() -> None:
    turn = Turn(text="x", fault=Fault(kind="status", status=429, retry_after="7", times=9))
    async with AnthropicFake(Script(turns=[turn])) as fake, running(config_of(fake.url)) as service:
        answered = await post(service, stream=True)
        assert (answered.status, answered.headers["retry-after"]) == (429, "7")


async def test_other_vendors_models_are_asked_as_claude_is() -> None:
    async with raw_upstream(message_of(json.dumps(MESSAGE).encode())) as raw:
        config = native_config(raw.url, path="/v1/messages", models=("deepseek-chat",))
        async with running(config) as service:
            answered = await post(service, model="deepseek-chat", reasoning={"effort": "high"})
            assert answered.status == 200
    sent = json.loads(raw.got[0].body)
    assert sent["max_tokens"] == 32_000
    assert not {"thinking", "reasoning_effort"} & set(sent)
