"""Requests of the Responses API to models of other vendors, on endpoints as strict as the notes make them."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64encode
from typing import Any

import pytest

from ccr.config.model import Provider, Secret, Step
from ccr.sandbox import Script, ToolCall, Turn, Workspace
from tests.e2e.material import png
from tests.gateway.test_other_vendors import CHAT, INVOCATIONS, MODELS, SCHEMA
from tests.protocol.response_oracle import check_grammar
from tests.server.raw_client import ask, request
from tests.server.service import config_for, running

IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{b64encode(png()).decode()}"}
HI = {"role": "user", "content": "hello"}


def call(number: int, name: str = "Read") -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{number}", "name": name, "arguments": '{"path":"/a"}'}


def output(number: int, said: Any = "text") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": said}


BODY: dict[str, Any] = {
    "instructions": "Be kind.",
    "input": [
        {"role": "developer", "content": "Be brief."},
        HI,
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        call(1),
        call(2),
        output(2, [{"type": "input_text", "text": "two"}, IMAGE]),
        output(1),
        {"role": "assistant", "content": "yes"},
        HI,
        call(3, "List"),
        output(3),
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}, IMAGE]},
    ],
    "tools": [
        {"type": "function", "name": "Read", "description": "reads", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "List", "parameters": {"type": "object", "properties": {}}},
        {"type": "web_search"},
    ],
    "max_output_tokens": 20_000,
    "store": False,
    "include": ["reasoning.encrypted_content"],
}


ODD: dict[str, Any] = {
    "input": [{"role": "assistant", "content": "a"}, *BODY["input"], {"role": "developer", "content": "b"}],
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "high", "summary": "auto"},
    "tools": [{**tool, "strict": True} for tool in BODY["tools"]],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "user": "u",
    "prompt_cache_key": "k",
    "service_tier": "flex",
}


@pytest.mark.parametrize("model", ["databricks-claude-sonnet-4-5", "databricks-claude-opus-4-8"])
@pytest.mark.parametrize("body", [BODY, {**BODY, **ODD}])
@pytest.mark.parametrize("steps", [(), (Step(name="OpenAI"), Step(name="databricks-custom"))])
async def test_nothing_is_refused_by_claude(
    model: str, body: dict[str, Any], steps: tuple[Step, ...]
) -> None:
    async with Workspace(Script(turns=[Turn(thinking="Hm.", text="{}")])) as workspace:
        config = config_for(workspace.url, token=workspace.token, models=(model,))
        provider = dataclasses.replace(config.providers[0], steps=steps)
        async with running(dataclasses.replace(config, providers=(provider,))) as service:
            data = json.dumps({**body, "model": model}).encode()
            answered = await ask(service.port, request(service.port, "/v1/responses", data))
            assert workspace.refusals == []
            assert answered.status == 200, answered.body


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", [INVOCATIONS, CHAT])
async def test_nothing_of_a_conversation_is_refused(model: str, path: str, *, stream: bool) -> None:
    turn = Turn(text="Reading.", tools=[ToolCall("Read", {"path": "/b"}, id="call_9")])
    async with Workspace(Script(turns=[turn]), models=MODELS) as workspace:
        provider = Provider(
            name="databricks", url=workspace.url + path, api_key=Secret(workspace.token), models=MODELS
        )
        config = dataclasses.replace(config_for(workspace.url, models=MODELS), providers=(provider,))
        async with running(config) as service:
            data = json.dumps({**BODY, "model": model, "stream": stream}).encode()
            answered = await ask(service.port, request(service.port, "/v1/responses", data))
            assert answered.status == 200, answered.body
            response = check_grammar(answered.body) if stream else answered.json
            assert [item["type"] for item in response["output"]] == ["message", "function_call"]
            assert response["output"][1]["name"] == "Read"
            assert workspace.refusals == []
