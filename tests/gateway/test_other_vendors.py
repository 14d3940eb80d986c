"""Claude Code's requests to models of other vendors, on endpoints as strict as the notes make them."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from typing import Any

import pytest

from ccr.config.model import Provider, Secret
from ccr.sandbox import Script, ToolCall, Turn, Workspace
from tests.e2e.material import png
from tests.server.raw_client import ask, request
from tests.server.service import config_for, message_body, running

MODELS = (
    "databricks-gpt-5",
    "databricks-gpt-oss-120b",
    "databricks-llama-4-maverick",
    "databricks-meta-llama-3-3-70b-instruct",
    "databricks-gemini-2-5-pro",
    "databricks-qwen3-next-80b-a3b-instruct",
    "databricks-kimi-k3",
    "databricks-deepseek-v4",
    "databricks-glm-5",
)
INVOCATIONS = "/serving-endpoints/x/invocations"
CHAT = "/serving-endpoints/chat/completions"
GATEWAY = "/ai-gateway/mlflow/v1/chat/completions"
MARK = {"type": "ephemeral"}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "path": {"type": "string", "pattern": "^/", "format": "uri"},
        "limit": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
        "mode": {"const": "r"},
        "more": {
            "type": "object",
            "propertyNames": {"type": "string"},
            "additionalProperties": {"type": "string"},
        },
        "edits": {"type": "array", "items": {"$ref": "#/$defs/edit"}},
    },
    "required": ["path"],
    "$defs": {"edit": {"type": "object", "properties": {"new": {"type": ["string", "null"]}}}},
}
TOOLS = [
    {"name": "Read", "description": "reads", "input_schema": SCHEMA},
    {"name": "List", "description": "lists", "input_schema": {"type": "object", "properties": {}}},
    {"type": "web_search_20250305", "name": "web_search"},
]
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": b64encode(png()).decode()},
}


def use(number: int, name: str = "Read") -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {"path": "/a"}}


def result(number: int, content: Any = "text") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}


def said(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


MESSAGES = [
    said(text("look", cache_control=MARK), text("closely")),
    said({"type": "thinking", "thinking": "hm", "signature": "of Claude"}, use(1), use(2), role="assistant"),
    said(result(2, [text("two", cache_control=MARK), IMAGE]), result(1), text("both?"), IMAGE),
    said(text("yes"), use(3, "List"), role="assistant"),
    said(result(3)),
    said(text("A user again."), text("", cache_control=MARK)),
    {"role": "system", "content": "a reminder"},
]
BODY: dict[str, Any] = {
    "system": [text("one", cache_control=MARK), text("two")],
    "messages": MESSAGES,
    "tools": TOOLS,
    "temperature": 1,
    "top_k": 5,
    "metadata": {"user_id": "u"},
    "context_management": {"edits": []},
    "stop_sequences": ["END"],
    "max_tokens": 20_000,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "thinking",
    [
        {},
        {"thinking": {"type": "enabled", "budget_tokens": 9000}},
        {"thinking": {"type": "adaptive", "display": "updates"}, "output_config": {"effort": "xhigh"}},
        {"thinking": {"type": "disabled"}, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "tools": []},
    ],
)
@pytest.mark.parametrize("path", [INVOCATIONS, CHAT, GATEWAY])
async def test_nothing_is_refused(model: str, thinking: dict[str, Any], path: str) -> None:
    turns = [Turn(text="Reading.", tools=[ToolCall("Read", {"path": "/b"}, id="call_1")]), Turn(text="Done.")]
    async with Workspace(Script(turns=turns), models=MODELS) as workspace:
        provider = Provider(
            name="databricks", url=workspace.url + path, api_key=Secret(workspace.token), models=MODELS
        )
        config = dataclasses.replace(config_for(workspace.url, models=MODELS), providers=(provider,))
        async with running(config) as service:
            data = message_body(model=model, **{**BODY, **thinking})
            answered = await ask(service.port, request(service.port, body=data))
            assert workspace.refusals == []
            assert answered.status == 200, answered.body
            assert len(workspace.requests) == 1, "not even a repair was needed"


async def test_a_catalog_name_is_served_by_the_gateway_s_chat_route() -> None:
    async with Workspace(Script(turns=[Turn(text="yes")]), models=MODELS) as workspace:
        models = ("system.ai.gpt-oss-120b", "other")
        provider = Provider(
            name="databricks", url=workspace.url + GATEWAY, api_key=Secret(workspace.token), models=models
        )
        config = dataclasses.replace(config_for(workspace.url, models=models), providers=(provider,))
        async with running(config) as service:
            data = message_body(model=models[0])
            assert (await ask(service.port, request(service.port, body=data))).status == 200
            assert workspace.requests[0].path == GATEWAY
            workspace.native = "serving"
            assert (await ask(service.port, request(service.port, body=data))).status == 400
