"""The native route over real sockets: what is sent, what comes back, what the record says."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from ccr.gateway.native import ANTHROPIC_VERSION, is_no_route, native_headers
from ccr.sandbox import Fault, Script, ToolCall, Turn, Usage, Workspace
from tests.e2e.material import png
from tests.gateway.native_service import GATEWAY, SERVING, events, native_config, post
from tests.protocol.native_events import RELAYED, WHOLE
from tests.server.raw_client import ask, request
from tests.server.service import MODEL, config_for, message_body, running
from tests.server.test_bad_bodies import BAD, ODD
from tests.upstream.raw import Exchange, good_completion, raw_upstream

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "us.anthropic.claude",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 3, "cache_read_input_tokens": 80},
}


async def whole(exchange: Exchange) -> None:
    await exchange.answer(json.dumps(MESSAGE))


async def streamed(exchange: Exchange) -> None:
    await exchange.stream_head()
    for at in range(0, len(WHOLE), 300):
        await exchange.chunk(WHOLE[at : at + 300])
    await exchange.end()


async def test_a_message() -> None:
    async with raw_upstream(whole) as raw, running(native_config(raw.url)) as service:
        answered = await post(
            service,
            target="/v1/v1/messages?beta=true",
            headers={"anthropic-beta": "context-1m-2025-08-07,tomorrow-1"},
            context_management={"edits": []},
        )
        assert answered.status == 200
        assert answered.json == {**MESSAGE, "model": "claude-sonnet-4-5"}
        sent = raw.got[0]
        assert sent.head.startswith(f"POST {SERVING} ")
        assert json.loads(sent.body) == {**json.loads(message_body()), "model": MODEL}
        assert sent.headers["x-databricks-use-coding-agent-mode"] == "true"
        assert sent.headers["anthropic-version"] == ANTHROPIC_VERSION
        assert sent.headers["anthropic-beta"] == "context-1m-2025-08-07"
        assert sent.headers["authorization"] == "Bearer upstream-token"
        record = service.records[0]
        assert (record["api"], record["outcome"], record["rule"]) == ("anthropic", "ok", "same_model")
        assert (record["input_tokens"], record["cache_read_input_tokens"]) == (12, 80)
        assert (record["stop_reason"], record["rules"]) == ("end_turn", ["context_management_dropped"])
        assert record["sent_bytes"] == len(answered.body)
        assert record["upstream_bytes"] == len(json.dumps(MESSAGE))
        counts = service.app.gateway.metrics.snapshot()["routes"][f"databricks,{MODEL}"]
        assert (counts["ok"], counts["input_tokens"]) == (1, 12)


async def test_a_stream() -> None:
    async with raw_upstream(streamed) as raw, running(native_config(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        begin, _, rest = RELAYED.partition(b"\n\n")
        assert answered.body.endswith(rest)
        expected = begin.replace(b'"asked"', b'"claude-sonnet-4-5"').partition(b"data: ")[2]
        assert events(answered)[0] == json.loads(expected)
        record = service.records[0]
        assert (record["api"], record["outcome"], record["stop_reason"]) == ("anthropic", "ok", "tool_use")
        assert (record["output_tokens"], record["events"]) == (42, len(events(answered)))
        assert record["sent_bytes"] == len(answered.body)
        await post(service, stream=True)
        assert raw.connections == 1, "the connection was not used again"


async def test_betas() -> None:
    assert "anthropic-beta" not in native_headers(None)
    async with raw_upstream(whole) as raw, running(native_config(raw.url)) as service:
        data = request(service.port, "/v1/messages", message_body())
        lines = b"\r\nanthropic-beta: effort-2025-11-24\r\nAnthropic-Beta: context-1m-2025-08-07\r\n\r\n"
        await ask(service.port, data.replace(b"\r\n\r\n", lines, 1))
        assert raw.got[0].headers["anthropic-beta"] == "effort-2025-11-24,context-1m-2025-08-07"


@pytest.mark.parametrize("name", BAD)
async def test_bad_bodies_are_refused(name: str) -> None:
    async with raw_upstream(whole) as raw, running(native_config(raw.url)) as service:
        answered = await ask(service.port, request(service.port, body=BAD[name]))
        async with running(config_for(raw.url)) as other:
            expected = await ask(other.port, request(other.port, body=BAD[name]))
        assert (answered.status, answered.json["error"]) == (400, expected.json["error"])
        assert not raw.got
        assert not [entry for entry in service.log if entry.exc_info]


@pytest.mark.parametrize("name", ODD)
async def test_odd_bodies_never_break_anything(name: str) -> None:
    async with raw_upstream(whole) as raw, running(native_config(raw.url)) as service:
        answered = await ask(service.port, request(service.port, body=ODD[name]))
        assert answered.status in (200, 400)
        assert not [entry for entry in service.log if entry.exc_info]
        for got in raw.got:
            json.loads(got.body, parse_constant=pytest.fail)


async def test_thinking_and_tools_over_turns() -> None:
    turns = [
        Turn(thinking="First I look.", text="Looking.", tools=[ToolCall("Read", {"path": "a"})]),
        Turn(redacted="secret", text="Done.", usage=Usage(input=5, output=2, cache_read=7)),
    ]
    question = {
        "role": "user",
        "content": [{"type": "text", "text": "go", "cache_control": {"type": "ephemeral"}}],
    }
    asked: dict[str, Any] = {
        "max_tokens": 8000,
        "thinking": {"type": "enabled", "budget_tokens": 4000},
        "tools": [{"name": "Read", "description": "d", "input_schema": {"type": "object"}}],
        "system": [
            {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "scope": "global"}}
        ],
    }
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(native_config(workspace.url, token=workspace.token)) as service,
    ):
        first = (await post(service, messages=[question], **asked)).json
        assert [block["type"] for block in first["content"]] == ["thinking", "text", "tool_use"]
        image = {"type": "base64", "media_type": "image/png", "data": b64encode(png()).decode()}
        result = {
            "type": "tool_result",
            "tool_use_id": first["content"][-1]["id"],
            "content": [{"type": "text", "text": "r"}, {"type": "image", "source": image}],
        }
        messages = [
            question,
            {"role": "assistant", "content": first["content"]},
            {"role": "user", "content": [result]},
            {"role": "system", "content": "a reminder"},
        ]
        answered = await post(service, messages=messages, stream=True, **asked)
        assert answered.status == 200
        assert [event["content_block"]["type"] for event in events(answered) if "content_block" in event] == [
            "redacted_thinking",
            "text",
        ]
        assert workspace.refusals == []
        assert workspace.requests[1].body["messages"][2]["content"][0]["content"][1]["source"] == image
        assert service.records[1]["rules"] == ["system_message_folded", "cache_control_reduced"]
        assert service.records[1]["cache_read_input_tokens"] == 7


@pytest.mark.parametrize("path", ["/serving-endpoints/anthropic", GATEWAY])
async def test_models_of_unity_catalog_are_asked_at_the_gateway(path: str) -> None:
    models = (MODEL, "system.ai.claude-sonnet-4-5")
    async with (
        Workspace(Script(turns=[Turn(text="a"), Turn(text="b")])) as workspace,
        running(native_config(workspace.url, token=workspace.token, models=models, path=path)) as service,
    ):
        for model in models:
            assert (await post(service, model=model)).json["model"] == model
        own = GATEWAY if path == GATEWAY else SERVING
        assert [record.path for record in workspace.requests] == [own, GATEWAY]
        assert workspace.refusals == []


INVALID, FORBIDDEN, BUSY = "invalid_request_error", "permission_error", "overloaded_error"
BUSY_BODY = '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
NO_CREDENTIAL = '{"error_code":"UNAUTHENTICATED","message":"Credential was not sent"}'
NO_MODEL = '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"gone"}'
NO_API = '{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found"}'
SLOW = '{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}'


@pytest.mark.parametrize(
    ("status", "body", "expected", "error_type", "said"),
    [
        (401, NO_CREDENTIAL, 403, FORBIDDEN, "api_key"),
        (404, NO_MODEL, 400, INVALID, "does not serve"),
        (404, NO_API, 400, INVALID, "No API found"),
        (429, SLOW, 429, "rate_limit_error", "slow"),
        (529, BUSY_BODY, 529, BUSY, "busy"),
        (400, '{"message":"upstream-token is bad"}', 400, INVALID, "*** is bad"),
        (200, BUSY_BODY, 529, BUSY, "busy"),
        (200, '{"id":"x"', 502, "api_error", "is no message"),
        (200, "<html><title>Sign in</title>", 502, "api_error", "Sign in"),
        (303, "", 502, "api_error", "redirect"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_answers_that_are_no_message(
    status: int, body: str, expected: int, error_type: str, said: str, *, stream: bool
) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, location="https://login.test/")

    async with raw_upstream(play) as raw, running(native_config(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert (answered.status, answered.json["error"]["type"]) == (expected, error_type)
        assert said in answered.json["error"]["message"]
        record = service.records[0]
        assert (record["outcome"], record["status"], record["api"]) == ("error", expected, "anthropic")
        assert len(raw.got) == 1


async def test_an_overflow_is_told_with_the_numbers_that_are_known() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer('{"message":"input is too long for requested model"}', 400)

    async with raw_upstream(play) as raw, running(native_config(raw.url)) as service:
        said = (await post(service)).json["error"]["message"]
        assert said.startswith("prompt is too long: ")
        assert "tokens > 200000 maximum" in said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("T99", outcome="a completion becomes a stream; a stream nobody asked for is a 502")
async def test_an_answer_in_the_other_form(*, stream: bool) -> None:
    async with (
        raw_upstream(whole if stream else streamed) as raw,
        running(native_config(raw.url)) as service,
    ):
        answered = await post(service, stream=stream)
        assert answered.status == 502
        assert answered.headers["x-should-retry"] == "false"
        assert " although " in answered.json["error"]["message"]


async def test_counts_are_learnt_and_asked_of_nobody() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(json.dumps({**MESSAGE, "usage": {"input_tokens": 1500, "output_tokens": 1}}))

    long = [{"role": "user", "content": "word " * 800}]
    async with raw_upstream(play) as raw, running(native_config(raw.url)) as service:
        before = (await post(service, target="/v1/messages/count_tokens", messages=long)).json
        await post(service, messages=long)
        after = (await post(service, target="/v1/messages/count_tokens", messages=long)).json
        assert after["input_tokens"] == 1500 != before["input_tokens"]
        assert len(raw.got) == 1


async def test_a_request_that_cannot_be_estimated_is_served_all_the_same() -> None:
    # the title is taken out unread; the estimate would have to read it
    odd = [{"role": "user", "content": [{"type": "text", "text": "u", "title": 7}]}]
    async with raw_upstream(whole) as raw, running(native_config(raw.url)) as service:
        assert (await post(service, messages=odd)).status == 200
        assert json.loads(raw.got[0].body)["messages"][0]["content"] == [{"type": "text", "text": "u"}]


async def test_chat_clients_of_a_workspace() -> None:
    async with raw_upstream(good_completion) as raw, running(native_config(raw.url)) as service:
        answered = await post(service, target="/v1/chat/completions", model=MODEL)
        assert answered.json["choices"][0]["message"]["content"] == "hello"
        assert raw.got[0].head.startswith("POST /serving-endpoints/chat/completions ")


async def test_chat_clients_of_a_messages_api() -> None:
    async with raw_upstream(whole) as raw, running(native_config(raw.url, path="/v1/messages")) as service:
        answered = await post(service, target="/v1/chat/completions", model=MODEL)
        assert answered.status == 400
        assert "/v1/messages" in answered.json["error"]["message"]
        assert (await post(service)).status == 200
        assert [got.head.split(" ")[1] for got in raw.got] == ["/v1/messages"]


async def test_other_providers_are_spoken_to_as_before() -> None:
    async with raw_upstream(good_completion) as raw:
        native = native_config("http://127.0.0.1:1").providers[0]
        chat = config_for(raw.url, models=("other",)).providers[0]
        config = config_for(raw.url, providers=(native, chat))
        async with running(config) as service:
            answered = await post(service, model="other")
            assert answered.json["content"] == [{"type": "text", "text": "hello"}]
            assert "api" not in service.records[0]


async def test_faults_of_the_workspace() -> None:
    turns = [
        Turn(text="a", fault=Fault(kind="status", status=503)),
        Turn(text="b", fault=Fault(kind="reset")),
    ]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(native_config(workspace.url, token=workspace.token)) as service,
    ):
        assert (await post(service)).status == 503
        assert (await post(service)).json["content"][0]["text"] == "a"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b'{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for \'/x\'"}', True),
        (404, b'{"message":"Path must be of form /serving-endpoints/<endpoint_name>/invocations or"}', True),
        (400, b"{\"message\":\"Unsupported native API path '/x' for provider 'anthropic'\"}", True),
        (400, b'{"message":"Messages API passthrough is not supported"}', True),
        (404, b"", True),
        (404, b"<html><title>Not found</title></html>", True),
        (405, b'{"message":"Method not allowed"}', True),
        (501, b"", True),
        (
            404,
            b'{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"The given endpoint does not exist."}',
            False,
        ),
        (404, b'{"error_code":"NOT_FOUND","message":"Model service \'x\' does not exist."}', False),
        (400, b'{"message":"max_tokens: Field required"}', False),
        (400, b"", False),
        (403, b'{"message":"No API found"}', False),
        (503, b"<html>", False),
    ],
)
def test_what_says_that_there_is_no_such_route(status: int, body: bytes, *, expected: bool) -> None:
    assert is_no_route(status, body) is expected
