"""Bodies that are no request: 400 in the right shape, the upstream untouched, the process alive."""

from __future__ import annotations

import json

import pytest

from ccr.sandbox import Workspace
from tests.gateway.native_service import native_config
from tests.server.raw_client import ask, request
from tests.server.service import config_for, message_body, running
from tests.upstream.raw import good_completion, raw_upstream

DEEP = b'{"model":"claude","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
NESTED = message_body(messages=[{"role": "user", "content": "X"}]).replace(b'"X"', b"[" * 1100 + b"]" * 1100)
START = b'{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"}]'
TOOL = START + b',"tools":[{"name":"t","input_schema":%b}]}'

BAD = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "number": b"1",
    "garbage": b"{]",
    "trailing garbage": message_body() + b"x",
    "utf-8": message_body().replace(b"hello", b"\xff\xfe"),
    "nan": message_body(temperature=1).replace(b'"temperature": 1', b'"temperature": NaN'),
    "infinity": message_body(temperature=1).replace(b'"temperature": 1', b'"temperature": 1e999'),
    "deep": DEEP,
    "nested": NESTED,
    "deep schema": TOOL % (b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "no messages": message_body(messages=[]),
    "messages of another type": message_body(messages={"role": "user"}),
    "no model": b'{"messages":[{"role":"user","content":"x"}]}',
    "model a number": message_body(model=4),
    "model empty": message_body(model=""),
    "model a URL": message_body(model="http://169.254.169.254/,x"),
    "model with a line break": message_body(model="claude\r\nX-Evil: 1"),
    "model with NUL": message_body(model="claude\x00"),
    "model too long": message_body(model="c" * 100_000),
    "model a path": message_body(model="databricks,../x"),
    "model unknown": message_body(model="模型🙂"),
    "stream a text": message_body(stream="true"),
    "max_tokens negative": message_body(max_tokens=-1),
    "max_tokens a text": message_body(max_tokens="5"),
    "max_tokens huge": message_body(max_tokens=1).replace(b'"max_tokens": 1', b'"max_tokens": 1e30'),
    "5000 digits": message_body(max_tokens=1).replace(b'"max_tokens": 1', b'"max_tokens": ' + b"1" * 5000),
}


CHAT = "/v1/chat/completions"
OF_CHAT = {
    "part a number": message_body(messages=[{"role": "user", "content": [1]}]),
    "part without type": message_body(messages=[{"role": "user", "content": [{"text": "x"}]}]),
    "text a list": message_body(messages=[{"role": "user", "content": [{"type": "text", "text": []}]}]),
    "name a number": message_body(messages=[{"role": "user", "content": "x", "name": 1}]),
    "arguments an object": message_body(
        messages=[
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}
        ]
    ),
    "tool a text": message_body(tools=["t"]),
    "function a text": message_body(tools=[{"type": "function", "function": "f"}]),
    "temperature a text": message_body(temperature="1"),
    "stop a number": message_body(stop=1),
}

CASES = [
    *((target, name) for target in ("/v1/messages", "/v1/messages/count_tokens", CHAT) for name in BAD),
    *((CHAT, name) for name in OF_CHAT),
]


@pytest.mark.parametrize(("target", "name"), CASES)
@pytest.mark.fault("J41", outcome="400 invalid_request_error")
@pytest.mark.fault("J43", outcome="400; the process lives")
@pytest.mark.fault("J44", outcome="400")
@pytest.mark.fault("J45", outcome="400")
@pytest.mark.fault("J48", outcome="400")
@pytest.mark.fault("J50", outcome="400, never 500, never raw in a header")
@pytest.mark.fault("J51", outcome="400")
async def test_bad_bodies_are_refused(target: str, name: str) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await ask(service.port, request(service.port, target, (BAD | OF_CHAT)[name]))
        assert answered.status == 400
        assert answered.json["error"]["type"] == "invalid_request_error"
        assert answered.headers["x-should-retry"] == "false"
        assert ("request_id" in answered.json) is (target != CHAT)
        assert not raw.got
        assert not [entry for entry in service.log if entry.exc_info]
        assert (await ask(service.port, request(service.port, body=message_body()))).status == 200


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/messages/count_tokens", CHAT])
@pytest.mark.fault("J42", outcome="400")
async def test_a_byte_order_mark_is_no_json(target: str) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await ask(service.port, request(service.port, target, b"\xef\xbb\xbf" + message_body()))
        assert answered.status == 400
        assert "not valid JSON" in answered.json["error"]["message"]
        assert not raw.got


ODD = {
    "duplicate keys": START.replace(b"{", b'{"model":"x",', 1) + b"}",
    "prototype": message_body(__proto__={"a": 1}, __class__="x"),
    "unknown block": message_body(messages=[{"role": "user", "content": [{"type": "novelty", "x": 1}]}]),
    "many turns": message_body(messages=[{"role": "user", "content": f"turn {n}"} for n in range(10_000)]),
    "long text": message_body(messages=[{"role": "user", "content": "x" * 1_000_000}]),
    "unknown beta": message_body(betas=["no-such-beta-2099-01-01"]),
}
ARRIVES = {
    "many turns": (b"turn 0", b"turn 9999"),
    "long text": (b"x" * 1_000_000,),
    "unknown block": (b"novelty",),
}
"""What the provider gets to see of it."""


@pytest.mark.parametrize("target", ["/v1/messages", CHAT])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.fault("J46", outcome="the last one counts, as for the provider")
@pytest.mark.fault("J49", outcome="answered; the first and the last turn arrive")
@pytest.mark.fault("J52", outcome="passed on, or told in words what it was")
@pytest.mark.fault("J54", outcome="passed on or dropped; they are data")
async def test_odd_bodies_are_answered(target: str, name: str) -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        data = request(service.port, target, ODD[name], "anthropic-beta: no-such-beta-2099-01-01")
        assert (await ask(service.port, data)).status == 200
        assert not [entry for entry in service.log if entry.exc_info]
        (got,) = raw.got
        sent = json.loads(got.body, parse_constant=pytest.fail)
        assert sent["model"] == "databricks-claude-sonnet-4-5"
        assert all(part in got.body for part in ARRIVES.get(name, ()))


@pytest.mark.parametrize(
    ("target", "is_sent"),
    [("/v1/messages", True), (CHAT, True), ("/v1/messages/count_tokens", False)],
)
@pytest.mark.fault("J47", outcome="half a pair becomes U+FFFD, whole ones and the rest arrive as they are")
async def test_half_a_character_is_replaced(target: str, *, is_sent: bool) -> None:
    text = b"cut \\ud83d here, \\ud83d\\ude00 whole, \\\\ud83d no escape, \\uDE00"
    body = message_body().replace(b"hello", text)
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        assert (await ask(service.port, request(service.port, target, body))).status == 200
        if is_sent:
            sent = json.loads(raw.got[0].body)
            assert (
                sent["messages"][0]["content"]
                == "cut \ufffd here, \U0001f600 whole, \\ud83d no escape, \ufffd"
            )
            assert service.records[0]["rules"] == ["half_character_replaced"]


@pytest.mark.fault("J47", outcome="the same on the native route")
async def test_half_a_character_on_the_native_route() -> None:
    async with Workspace() as workspace:
        config = native_config(workspace.url, token=workspace.token)
        async with running(config) as service:
            body = message_body().replace(b"hello", b"cut \\ud83d here")
            assert (await ask(service.port, request(service.port, body=body))).status == 200
            assert service.records[0]["rules"] == ["half_character_replaced"]
        (asked,) = workspace.requests
        assert asked.body["messages"][0]["content"] == "cut \ufffd here"


async def test_half_a_character_in_a_body_that_is_bad_anyway() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        body = message_body(max_tokens="5").replace(b"hello", b"\\ud83d")
        answered = await ask(service.port, request(service.port, body=body))
        assert answered.status == 400
        assert answered.json["error"]["message"].startswith("max_tokens: ")
        assert not raw.got


@pytest.mark.fault("J44", outcome="2^70 in a tool's schema is kept digit by digit")
async def test_big_numbers_in_tools_are_kept() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        schema = b'{"type":"object","properties":{"a":{"const":1180591620717411303424}}}'
        answered = await ask(service.port, request(service.port, body=TOOL % schema))
        assert answered.status == 200
        assert b"1180591620717411303424" in raw.got[0].body


@pytest.mark.parametrize("api", ["chat", "anthropic"])
@pytest.mark.fault("J44", outcome="2^70 in a tool's input is kept digit by digit, on both routes")
async def test_big_numbers_in_the_input_of_a_call_are_kept(api: str) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "t", "input": {"n": 2**70, "f": 0.1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    body = message_body(messages=messages, tools=[{"name": "t", "input_schema": {"type": "object"}}])
    async with raw_upstream(good_completion) as raw:
        config = config_for(raw.url) if api == "chat" else native_config(raw.url)
        async with running(config) as service:
            await ask(service.port, request(service.port, body=body))
        sent = json.loads(raw.got[0].body)["messages"][1]
        given = sent["tool_calls"][0]["function"]["arguments"] if api == "chat" else None
        assert (json.loads(given) if given else sent["content"][0]["input"]) == {"n": 2**70, "f": 0.1}


@pytest.mark.fault("J53", outcome="sent on whole")
async def test_an_image_of_30_megabytes_goes_through() -> None:
    data = "A" * 30_000_000
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        body = message_body(messages=[{"role": "user", "content": content}])
        assert (await ask(service.port, request(service.port, body=body))).status == 200
        assert data.encode() in raw.got[0].body
