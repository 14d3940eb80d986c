"""The line of ``/v1/responses``: routing, transformers, records, streams that are slow, and what fails."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from ccr.config.model import Router, Step
from ccr.gateway.patience import Patience
from tests.protocol.response_oracle import check_grammar
from tests.server.raw_client import Answered, ask, raw_client, request
from tests.server.service import MODEL, OTHER_MODEL, Service, config_for, running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    chunk_of,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)

PATH = "/v1/responses"
SEARCH = {"type": "web_search"}


def body_of(**changes: Any) -> bytes:
    return json.dumps({"model": MODEL, "input": "hello", **changes}).encode()


async def post(service: Service, *more: str, **changes: Any) -> Answered:
    return await ask(service.port, request(service.port, PATH, body_of(**changes), *more))


async def test_a_whole_answer_and_its_record() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, store=True)
        assert answered.status == 200
        assert answered.headers["content-type"] == "application/json"
        assert answered.json["output"][0]["content"][0]["text"] == "hello"
        assert answered.json["store"] is False
        (record,) = service.records
        assert (record["route"], record["outcome"], record["stop_reason"]) == ("responses", "ok", "end_turn")
        assert (record["input_tokens"], record["sent_bytes"]) == (12, len(answered.body))
        assert "store_dropped" in record["rules"]
        assert (await post(service)).json["id"] != answered.json["id"]


async def test_a_stream_and_its_record() -> None:
    async with raw_upstream(good_stream, good_stream) as raw, running(config_for(raw.url)) as service:
        for _ in range(2):
            answered = await post(service, stream=True)
            last = check_grammar(answered.body)
            assert last["output"][0]["content"][0]["text"] == "hello"
        await service.idle()
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert raw.connections == 1  # kept, because the answer was complete
        assert [record["outcome"] for record in service.records] == ["ok", "ok"]
        assert service.records[1]["sent_bytes"] == len(answered.body)
        assert service.records[1]["stop_reason"] == "end_turn"


async def test_rules_of_the_answer_are_noted() -> None:
    cited = {"type": "text", "text": "hello", "citations": [{"url": "x"}]}

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(chunk_of(delta={"content": [cited]}) + FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        await post(service, stream=True)
        await service.idle()
        assert "citations_ignored" in service.records[0]["rules"]


async def test_counts_are_asked_for_where_a_workspace_does_not_give_them_anyway() -> None:
    async with raw_upstream(good_stream) as raw:
        config = config_for(raw.url, models=("gpt-5",))
        elsewhere = dataclasses.replace(config.providers[0], url=f"{raw.url}/v1/chat/completions")
        for provider in (config.providers[0], elsewhere):
            async with running(dataclasses.replace(config, providers=(provider,))) as service:
                await post(service, model="gpt-5", stream=True)
    asked = [json.loads(got.body).get("stream_options") for got in raw.got]
    assert asked == [None, {"include_usage": True}]


async def test_a_completion_in_place_of_a_stream_becomes_one() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert check_grammar(answered.body)["status"] == "completed"
        assert answered.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_completion_without_a_finish_reason_is_an_error(*, stream: bool) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(json.dumps({"choices": [{"message": {"content": "hello"}}]}))

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert answered.status == 502
        assert "no finish_reason" in answered.json["error"]["message"]
        assert service.records[0]["outcome"] == "error"


async def test_routing_is_that_of_every_request() -> None:
    router = Router(default=f"databricks,{MODEL}", scenarios={"webSearch": f"databricks,{OTHER_MODEL}"})
    models = (MODEL, OTHER_MODEL)
    async with raw_upstream(good_completion) as raw:
        config = config_for(raw.url, models=models, router=router)
        async with running(config) as service:
            for name in (f"databricks,{MODEL}", MODEL.upper(), "claude-sonnet-4-5"):
                assert (await post(service, model=name)).status == 200, name
            await post(service, model="claude-sonnet-4-5", tools=[SEARCH])
            unknown = await post(service, model="anything-else")
    assert [json.loads(got.body)["model"] for got in raw.got] == [MODEL] * 3 + [OTHER_MODEL]
    assert unknown.status == 400


async def test_the_next_route_is_tried() -> None:
    async def play(exchange: Exchange) -> None:
        if json.loads(exchange.got.body)["model"] == MODEL:
            await exchange.answer('{"error_code":"TEMPORARILY_UNAVAILABLE","message":"x"}', status=503)
        else:
            await exchange.answer(completion())

    other = f"databricks,{OTHER_MODEL}"
    router = Router(default=f"databricks,{MODEL}", alternatives={"default": (other,)})
    async with raw_upstream(play) as raw:
        config = config_for(raw.url, models=(MODEL, OTHER_MODEL), router=router)
        async with running(config) as service:
            answered = await post(service, model="claude-new-9")
    assert answered.json["output"][0]["content"][0]["text"] == "hello"
    assert json.loads(raw.got[-1].body)["model"] == OTHER_MODEL


async def test_the_steps_of_the_provider_are_passed() -> None:
    async with raw_upstream(good_completion) as raw:
        config = config_for(raw.url)
        steps = (
            Step(name="customparams", options={"user": "me"}),
            Step(name="maxtoken", options={"max_tokens": 7}),
        )
        provider = dataclasses.replace(config.providers[0], steps=steps)
        async with running(dataclasses.replace(config, providers=(provider,))) as service:
            await post(service)
    sent = json.loads(raw.got[0].body)
    assert (sent["user"], sent["max_tokens"]) == ("me", 7)


async def test_pieces_go_on_as_they_come() -> None:
    more = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("first"))
        await more.wait()
        await exchange.chunk(text_chunk("second") + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
        asyncio.timeout(10),
    ):
        await client.send(request(service.port, PATH, body_of(stream=True)))
        await client.reader.readuntil(b'"first"')
        more.set()
        await client.reader.readuntil(b'"second"')


async def test_a_silent_provider_gets_signs_of_life_to_the_client() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await asyncio.sleep(0.2)
        await exchange.chunk(text_chunk("lo") + FINISH + DONE)
        await exchange.end()

    patience = Patience(ping_s=0.03)
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        assert b": keep-alive\n\n" in answered.body
        assert check_grammar(answered.body.replace(b": keep-alive\n\n", b""))["status"] == "completed"


async def test_an_answer_that_is_complete_is_not_waited_for() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH)
        await asyncio.sleep(30)

    patience = Patience(last_bytes_s=0.1, ping_s=0.03)
    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url), patience=patience) as service,
        asyncio.timeout(10),
    ):
        answered = await post(service, stream=True)
        assert check_grammar(answered.body.replace(b": keep-alive\n\n", b""))["status"] == "completed"
        await service.idle()
        assert service.records[0]["outcome"] == "ok"


async def test_a_provider_that_breaks_off_behind_the_end_does_not_matter() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH + DONE)
        exchange.reset()

    async with raw_upstream(play, good_stream) as raw, running(config_for(raw.url)) as service:
        assert check_grammar((await post(service, stream=True)).body)["status"] == "completed"
        assert check_grammar((await post(service, stream=True)).body)["status"] == "completed"
        await service.idle()
        assert [record["outcome"] for record in service.records] == ["ok", "ok"]


@pytest.mark.parametrize("what", ["cut", "abort", "nonsense", "silence"])
async def test_a_stream_that_breaks_off_has_failed(what: str) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        if what == "silence":
            await asyncio.sleep(30)
        if what == "nonsense":
            await exchange.chunk("data: {\n\n")
        if what == "abort":
            exchange.reset()
        else:
            await exchange.end()

    patience = Patience(idle_s=0.2)
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        assert answered.status == 200
        last = check_grammar(answered.body)
        assert last["status"] == "failed"
        await service.idle()
        (record,) = service.records
        assert (record["outcome"], record["route"]) == ("error", "responses")


async def test_a_client_that_leaves_closes_the_provider() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("first"))
        await exchange.until_closed()

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        asyncio.timeout(10),
    ):
        async with raw_client(service.port) as client:
            await client.send(request(service.port, PATH, body_of(stream=True)))
            await client.reader.readuntil(b'"first"')
        await service.idle()
        assert service.records[0]["outcome"] == "cancelled"


async def test_what_would_be_sent_is_explained() -> None:
    async with raw_upstream() as raw, running(config_for(raw.url)) as service:
        answered = await post(service, "x-ccr-explain: 1", reasoning={"effort": "low"}, tools=[SEARCH])
        assert answered.status == 200
        said = answered.json
        assert said["route"] == f"databricks,{MODEL}"
        assert said["request"]["body"]["thinking"] == {"type": "enabled", "budget_tokens": 4000}
        assert "server_tools_dropped" in said["changed"]
        assert raw.got == []


async def test_what_gemini_writes_beside_a_call_goes_back_to_it() -> None:
    made = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "n", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "g1"}},
    }

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(chunk_of(delta={"tool_calls": [made]}) + FINISH + DONE)
        await exchange.end()

    tools = [{"type": "function", "name": "n"}]
    async with raw_upstream(play, good_completion) as raw, running(config_for(raw.url)) as service:
        last = check_grammar((await post(service, stream=True, tools=tools)).body)
        output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
        user = {"role": "user", "content": "hello"}
        await post(service, tools=tools, input=[user, *last["output"], output])
        await service.idle()
        assert "call_signature_restored" in service.records[1]["rules"]
    (call,) = json.loads(raw.got[1].body)["messages"][1]["tool_calls"]
    assert call["extra_content"] == made["extra_content"]


async def test_half_a_character_in_a_request_is_mended() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = body_of().replace(b"hello", b"hello \\ud83d")
        answered = await ask(service.port, request(service.port, PATH, data))
        assert answered.status == 200
        assert "half_character_replaced" in service.records[0]["rules"]


async def test_errors_have_openais_shape_and_name_the_parameter() -> None:
    async with raw_upstream() as raw, running(config_for(raw.url)) as service:
        answered = await post(service, previous_response_id="resp_1")
        assert answered.status == 400
        error = answered.json["error"]
        assert (error["param"], error["code"]) == ("previous_response_id", "invalid_request")
        assert error["type"] == "invalid_request_error"
        assert service.records[0]["route"] == "responses"
