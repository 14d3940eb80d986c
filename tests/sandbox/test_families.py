"""What models of other vendors refuse."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.sandbox import Workspace
from ccr.sandbox.checks import problem_of_chat_request
from ccr.sandbox.families import ROLES, family_of
from ccr.sandbox.models import rules_of
from tests.sandbox.bodies import OLD, function_tool, native_body
from tests.sandbox.http import GATEWAY, SERVING, ask

GPT, OSS, LLAMA = "databricks-gpt-5", "databricks-gpt-oss-120b", "databricks-llama-4-maverick"
GEMINI, QWEN = "databricks-gemini-2-5-pro", "databricks-qwen3-next-80b-a3b-instruct"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def user(content: Any = "u") -> dict[str, Any]:
    return {"role": "user", "content": content}


def calls(*ids: str) -> dict[str, Any]:
    function = {"name": "Bash", "arguments": "{}"}
    return {
        "role": "assistant",
        "tool_calls": [{"id": name, "type": "function", "function": function} for name in ids],
    }


def result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "r"}


def tool(**schema: Any) -> dict[str, Any]:
    return function_tool(parameters={"type": "object", "properties": {"a": {"type": "string"}}, **schema})


def sentence_of(model: str, *messages: dict[str, Any], **fields: Any) -> str:
    body = {"messages": list(messages) or [user()], "max_tokens": 100, **fields}
    refusal = problem_of_chat_request(body, rules_of(model))
    return "taken" if refusal is None else refusal.sentence


PAIRED = (user(), calls("a"), result("a"), calls("b"), result("b"))
PARALLEL = (user(), calls("a", "b"), result("a"), result("b"))


@pytest.mark.parametrize(
    ("model", "messages", "fields"),
    [
        (GPT, PARALLEL, {"reasoning_effort": "low"}),
        (GPT, (user([{"type": "text", "text": "t"}, IMAGE]),), {}),
        (OSS, PAIRED, {"temperature": 1, "reasoning_effort": "high"}),
        (LLAMA, (*PAIRED, {"role": "assistant", "content": "x"}, user()), {}),
        (GEMINI, PARALLEL, {"tools": [tool()]}),
        (GEMINI, (), {"tools": [{"type": "function", "function": {"name": "x"}}]}),
        (QWEN, PARALLEL, {"tools": [tool(additionalProperties=False)], "top_k": 3}),
    ],
)
def test_takes(model: str, messages: tuple[dict[str, Any], ...], fields: dict[str, Any]) -> None:
    assert sentence_of(model, *messages, **fields) == "taken"


EXTRA = "Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("model", "messages", "fields", "said"),
    [
        (QWEN, (), {"reasoning_effort": "low"}, f"reasoning_effort: {EXTRA}"),
        (OLD, (), {"reasoning_effort": "low"}, f"reasoning_effort: {EXTRA}"),
        (GPT, (), {"reasoning_effort": "xhigh"}, "should be one of"),
        (GPT, (), {"temperature": 1}, "'temperature' is not supported"),
        (GPT, (), {"thinking": {"type": "disabled"}}, f"thinking: {EXTRA}"),
        (LLAMA, (), {"output_config": {"effort": "low"}}, f"output_config: {EXTRA}"),
        (GPT, (), {"tools": [function_tool() | {"cache_control": {}}]}, f"tools.0.cache_control: {EXTRA}"),
        (
            GPT,
            (user([{"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}]),),
            {},
            f"messages.0.content.0.cache_control: {EXTRA}",
        ),
        (QWEN, (user([IMAGE]),), {}, "parts of type 'image_url'"),
        (GPT, (user(), {"role": "assistant", "content": [{"type": "reasoning"}]}), {}, "type 'reasoning'"),
        (OSS, PARALLEL, {}, "Multiple tool calls are not supported."),
        (LLAMA, PARALLEL, {}, "Multiple tool calls are not supported."),
        (LLAMA, (user(), user()), {}, ROLES),
        (LLAMA, (user(), calls("a"), result("a"), user()), {}, ROLES),
        (GEMINI, (), {"tools": [tool(additionalProperties=False)]}, 'Unknown name "additionalProperties"'),
        (GEMINI, (), {"tools": [tool(properties={})]}, "should be non-empty"),
        (
            GEMINI,
            (),
            {"tools": [tool(properties={"a": {"type": ["string", "null"]}})]},
            "a string is expected",
        ),
        (
            GEMINI,
            (),
            {"tools": [tool(properties={"a": {"type": "array", "items": {"anyOf": []}}})]},
            "properties.a.items",
        ),
        (GEMINI, (), {"tools": [tool(properties={"a": True})]}, "a schema is expected"),
    ],
)
def test_refuses(model: str, messages: tuple[dict[str, Any], ...], fields: dict[str, Any], said: str) -> None:
    assert said in sentence_of(model, *messages, **fields)


def test_families_by_their_names() -> None:
    assert family_of(OLD) is None
    assert family_of("system.ai.claude-opus-5") is None
    assert family_of("system.ai.gpt-oss-20b") == family_of(OSS) != family_of(GPT)
    assert family_of("databricks-meta-llama-3-3-70b-instruct") == family_of(LLAMA)


async def test_the_native_routes_are_claude_s() -> None:
    async with Workspace(models=[GPT, OLD]) as workspace:
        answers = [
            await ask(workspace, "POST", SERVING, json=native_body(model=GPT)),
            await ask(workspace, "POST", GATEWAY, json=native_body(model="system.ai.gpt-5")),
        ]
        assert [answered.status for answered in answers] == [400, 400]
        listed = (await ask(workspace, "GET", "/api/2.0/serving-endpoints:foundation-models")).json
        apis = [
            entry["config"]["served_entities"][0]["foundation_model"]["api_types"]
            for entry in listed["endpoints"]
        ]
        assert ["anthropic/v1/messages" in each for each in apis] == [False, True]
        chat = "/ai-gateway/mlflow/v1/chat/completions"
        body = {"model": "system.ai.nothing", "messages": [user()]}
        assert (await ask(workspace, "POST", chat, json=body)).status == 404
