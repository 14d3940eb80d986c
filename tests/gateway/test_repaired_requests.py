"""The whole line against the strict workspace: refused once, repaired, answered; the client sees no error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Fault, Script, Turn, Workspace
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, Service, config_for, message_body, running

if TYPE_CHECKING:
    from ccr.config.model import Config

NEWER = "databricks-claude-sonnet-5"
THINKING = {"type": "enabled", "budget_tokens": 10_000}


def refusal(sentence: str, times: int = 1, status: int = 400) -> Fault:
    inner = json.dumps({"message": sentence}) + "\n"
    said = {"error_code": "BAD_REQUEST", "message": inner}
    return Fault(kind="status", status=status, body=said, times=times)


def script(*faults: Fault | None) -> Script:
    return Script(turns=[Turn(text=f"answer {number}", fault=fault) for number, fault in enumerate(faults)])


def config(workspace: Workspace, *models: str) -> Config:
    return config_for(workspace.url, token=workspace.token, models=models or (MODEL,))


async def post(service: Service, target: str = "/v1/messages", **changes: Any) -> Answered:
    tools = [{"name": "Read", "description": "d", "input_schema": {"type": "object"}}]
    body = message_body(**{"max_tokens": 32_000, "tools": tools, **changes})
    return await ask(service.port, request(service.port, target, body))


def sent(workspace: Workspace) -> list[dict[str, Any]]:
    return [record.body for record in workspace.requests]


def text_of(answered: Answered) -> str:
    assert answered.status == 200, answered.body
    return str(answered.json["content"][0]["text"])


async def test_a_field_of_tomorrow_is_removed_and_stays_away() -> None:
    fault = refusal("stop: Extra inputs are not permitted")
    async with Workspace(script(fault, None)) as workspace, running(config(workspace)) as service:
        assert text_of(await post(service, stop_sequences=["X"])) == "answer 0"
        assert ["stop" in body for body in sent(workspace)] == [True, False]
        assert text_of(await post(service, stop_sequences=["X"])) == "answer 1"
        assert ["stop" in body for body in sent(workspace)] == [True, False, False]
        assert [record["rules"] for record in service.records] == [["unknown_field_removed"]] * 2
        rule = {"unknown_field_removed": {"stop": 2}}
        assert service.app.gateway.repairing.snapshot() == {f"databricks,{MODEL}": rule}
        told = await ask(service.port, request(service.port, "/status", method="GET"))
        assert told.json["repairs"] == {f"databricks,{MODEL}": rule}
        assert told.json["rules"] == {"unknown_field_removed": 2}
        assert told.json["requests"] == {"ok": 2}


async def test_a_stream_is_repaired_before_its_first_byte() -> None:
    fault = refusal("stop: Extra inputs are not permitted")
    async with Workspace(script(fault)) as workspace, running(config(workspace)) as service:
        answered = await post(service, stream=True, stop_sequences=["X"])
        assert answered.status == 200
        assert (
            answered.body.count(b"event: message_start") == answered.body.count(b"event: message_stop") == 1
        )
        assert len(workspace.requests) == 2


async def test_max_tokens_above_what_the_endpoint_gives() -> None:
    fault = refusal("max_tokens (32000) cannot exceed 8192. Please reduce max_tokens.")
    async with Workspace(script(fault, None)) as workspace, running(config(workspace)) as service:
        assert text_of(await post(service, thinking=THINKING)) == "answer 0"
        assert text_of(await post(service)) == "answer 1"
        assert [body["max_tokens"] for body in sent(workspace)] == [32_000, 8192, 8192]
        assert sent(workspace)[1]["thinking"]["budget_tokens"] == 8191


async def test_a_reservation_that_exceeds_the_quota() -> None:
    fault = refusal("Exceeded workspace output tokens per minute rate limit for x.", status=429)
    async with Workspace(script(fault, None)) as workspace, running(config(workspace)) as service:
        assert text_of(await post(service)) == "answer 0"
        assert text_of(await post(service)) == "answer 1"
        assert [body["max_tokens"] for body in sent(workspace)] == [32_000, 16_000, 16_000]


async def test_thinking_signed_by_another_model() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "from elsewhere"}
    use = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "r"}
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [block, use]},
        {"role": "user", "content": [result]},
    ]
    async with Workspace(script(None)) as workspace, running(config(workspace)) as service:
        assert text_of(await post(service, messages=messages, thinking=THINKING)) == "answer 0"
        first, second = sent(workspace)
        assert "thinking" in first
        assert "thinking" not in second
        assert "reasoning" not in json.dumps(second)
        assert service.records[0]["rules"] == ["thinking_history_removed"]


async def test_an_openai_client_sends_what_the_endpoint_refuses() -> None:
    function = {"name": "Read", "of_tomorrow": True, "parameters": {"type": "object"}}
    body = {
        "messages": [{"role": "user", "content": "u"}],
        "thinking": THINKING,
        "of_tomorrow_too": True,
        "tools": [{"type": "function", "function": function}],
    }
    async with Workspace(script(None)) as workspace, running(config(workspace, NEWER)) as service:
        answered = await post(service, "/v1/chat/completions", model=NEWER, **body)
        assert answered.status == 200
        assert answered.json["choices"][0]["message"]["content"] == "answer 0"
        assert len(workspace.requests) == 4
        assert sent(workspace)[-1]["tools"][0]["function"] == {
            "name": "Read",
            "parameters": {"type": "object"},
        }
        assert sent(workspace)[-1]["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert service.records[0]["rules"] == ["unknown_field_removed", "thinking_kind_switched"]


@pytest.mark.parametrize(
    ("sentence", "count", "said"),
    [
        ("stop: Extra inputs are not permitted", 2, "stop: Extra inputs are not permitted"),
        ("something nobody knows", 1, "something nobody knows"),
        (
            "prompt is too long: 210000 tokens > 200000 maximum",
            1,
            "prompt is too long: 210000 tokens > 200000",
        ),
    ],
)
async def test_what_cannot_be_repaired_is_told_once(sentence: str, count: int, said: str) -> None:
    async with (
        Workspace(script(refusal(sentence, times=9))) as workspace,
        running(config(workspace)) as service,
    ):
        answered = await post(service, stop_sequences=["X"])
        assert answered.status == 400
        assert answered.json["error"]["type"] == "invalid_request_error"
        assert said in answered.json["error"]["message"]
        assert len(workspace.requests) == count
        assert len(service.records) == 1
