"""``Anthropic`` alone on a provider: requests are passed on as they came, with the key where it belongs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import SystemPrompt
from ccr.sandbox import AnthropicFake, Script, Turn
from ccr.transformers.registry import build
from tests.server.raw_client import ask, request
from tests.server.service import running
from tests.upstream.raw import Exchange, raw_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

MODEL = "claude-opus-4-5"
BODY = (
    b'{"model":"%b", "max_tokens": 16,"x_new_field":{"b":1.0,"a":123456789012345678901234567890},'
    b' "messages":[{"role":"user","content":[{"type":"text","text":"hi",'
    b'"cache_control":{"type":"ephemeral","scope":"g"}}]}],'
    b'"metadata":{"user_id":"u"}}'
)


def config_for(
    url: str, *, use: list[Any] | None = None, path: str = "/v1/messages", **changes: Any
) -> Config:
    provider = {
        "name": "anthropic",
        "api_base_url": f"{url}{path}",
        "api_key": "sk-ant-api03-canary",
        "models": [MODEL],
        "transformer": {"use": ["Anthropic"] if use is None else use},
        **changes,
    }
    values = {"Providers": [provider], "Router": {"default": f"anthropic,{MODEL}"}}
    config = config_from_bytes(json.dumps(values).encode(), {}, check_step=build)
    assert config.warnings == ()
    return config


async def answer(exchange: Exchange) -> None:
    await exchange.answer(
        '{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],'
        '"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}'
    )


@pytest.mark.parametrize("asked", [MODEL, "claude-sonnet-4-5", f"anthropic,{MODEL}"])
async def test_a_request_is_passed_on(asked: str) -> None:
    headers = ("anthropic-version: 2023-01-01", "anthropic-beta: a-1,b-2", "anthropic-beta: c-3")
    async with raw_upstream(answer) as raw, running(config_for(raw.url)) as service:
        body = BODY % asked.encode()
        answered = await ask(service.port, request(service.port, "/v1/messages?beta=true", body, *headers))
        assert answered.status == 200
        (got,) = raw.got
        assert got.head.startswith("POST /v1/messages HTTP/1.1")
        sent = json.loads(got.body)
        assert sent == {**json.loads(body), "model": MODEL}
        assert b"123456789012345678901234567890" in got.body
        assert b"1.0" in got.body
        assert (got.body == body) is (asked == MODEL), "without another name it is the same to the byte"
        assert got.headers["x-api-key"] == "sk-ant-api03-canary"
        assert "authorization" not in got.headers
        assert got.headers["anthropic-version"] == "2023-01-01"
        assert got.headers["anthropic-beta"] == "a-1,b-2,c-3"
        assert not [name for name in got.headers if "databricks" in name]
        assert service.records[0]["api"] == "anthropic"
        assert "rules" not in service.records[0]


async def test_a_system_prompt_of_the_persons_is_passed_on(tmp_path: Path) -> None:
    async with raw_upstream(answer) as raw:
        own = SystemPrompt(path=tmp_path / "p.md", text="Mine.")
        async with running(dataclasses.replace(config_for(raw.url), system_prompt=own)) as service:
            values = {**json.loads(BODY % MODEL.encode()), "system": "Theirs.\n<env>\n</env>"}
            body = json.dumps(values).encode()
            assert (await ask(service.port, request(service.port, body=body))).status == 200
            assert json.loads(raw.got[0].body) == {**values, "system": "Mine.\n<env>\n</env>"}
            assert service.records[0]["rules"] == ["system_prompt_replaced"]


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        ({}, "x-api-key", "sk-ant-api03-canary"),
        ({"use": []}, "x-api-key", "sk-ant-api03-canary"),
        ({"use": [["Anthropic", {"UseBearer": True}]]}, "authorization", "Bearer sk-ant-api03-canary"),
        ({"api_key": "sk-ant-oat01-canary"}, "authorization", "Bearer sk-ant-oat01-canary"),
        ({"path": "/api/anthropic"}, "x-api-key", "sk-ant-api03-canary"),
    ],
)
async def test_where_the_key_goes(changes: dict[str, Any], header: str, value: str) -> None:
    async with raw_upstream(answer) as raw, running(config_for(raw.url, **changes)) as service:
        assert (await ask(service.port, request(service.port, body=BODY % MODEL.encode()))).status == 200
        headers = raw.got[0].headers
        assert headers[header] == value
        assert ("authorization" in headers) != ("x-api-key" in headers)
        assert headers["anthropic-version"] == "2023-06-01"
        assert "anthropic-beta" not in headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fake_of_the_api(*, stream: bool) -> None:
    async with (
        AnthropicFake(Script(turns=[Turn(text="hello")])) as fake,
        running(config_for(fake.url)) as service,
    ):
        body = json.dumps({**json.loads(BODY % MODEL.encode()), "stream": stream}).encode()
        answered = await ask(service.port, request(service.port, body=body))
        assert answered.status == 200, answered.body
        assert "message_stop" in answered.body.decode() or answered.json["content"][0]["text"] == "hello"


async def test_refusals_are_told_as_ever() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(
            '{"type":"error","error":{"type":"invalid_request_error","message":"x_new_field: bad"}}', 400
        )

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await ask(service.port, request(service.port, body=BODY % MODEL.encode()))
        assert answered.status == 400
        assert "x_new_field: bad" in answered.json["error"]["message"]
        assert len(raw.got) == 1, "nothing is repaired"


async def test_there_is_no_chat() -> None:
    async with raw_upstream(answer) as raw, running(config_for(raw.url, path="/api/anthropic")) as service:
        body = BODY % MODEL.encode()
        answered = await ask(service.port, request(service.port, "/v1/chat/completions", body))
        assert answered.status == 400
        assert "Messages API only" in answered.body.decode()
        assert raw.got == []
