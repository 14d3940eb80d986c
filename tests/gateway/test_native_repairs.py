"""The native route against a stricter workspace: refused once, repaired, remembered; no client sees it."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.sandbox import Script, Turn, Workspace
from tests.gateway.native_service import native_config, post
from tests.gateway.test_repaired_requests import refusal, script
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, Service, running

THINKING = {"type": "enabled", "budget_tokens": 10_000}
BETA = "interleaved-thinking-2025-05-14"
TALK = Script(turns=[Turn(text="yes")], repeat_last=True)
TOOLS = [{"name": "Read", "description": "d", "input_schema": {"type": "object"}}]


async def repairs(service: Service) -> dict[str, Any]:
    told = await ask(service.port, request(service.port, "/status", method="GET"))
    counts: dict[str, Any] = told.json["repairs"].get(f"databricks,{MODEL}", {})
    return counts


def config(workspace: Workspace, **changes: Any) -> Any:
    return native_config(workspace.url, token=workspace.token, **changes)


def statuses(workspace: Workspace) -> list[int | None]:
    return [record.status for record in workspace.requests]


def text_of(answered: Answered) -> str:
    assert answered.status == 200, answered.body
    return str(answered.json["content"][0]["text"])


@pytest.mark.parametrize(
    ("tightened", "asked", "headers", "rule", "what"),
    [
        (
            {"refused_keys": ["metadata"]},
            {"metadata": {"user_id": "u"}},
            {},
            "unknown_field_removed",
            "metadata",
        ),
        ({"refused_keys": ["ttl"]}, {}, {}, "unknown_field_removed", "cache_control.ttl"),
        ({"refused_keys": ["description"]}, {}, {}, None, None),
        (
            {"refused_betas": [BETA]},
            {},
            {"anthropic-beta": f"{BETA},effort-2025-11-24"},
            "unknown_beta_removed",
            BETA,
        ),
        ({"max_output": 8192}, {"thinking": THINKING}, {}, "max_tokens_lowered", "8192"),
        ({"otpm": 20_000}, {"thinking": THINKING}, {}, "max_tokens_halved", "max_tokens"),
    ],
)
async def test_refused_once_and_never_again(
    tightened: dict[str, Any],
    asked: dict[str, Any],
    headers: dict[str, str],
    rule: str | None,
    what: str | None,
) -> None:
    system = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    asked = {"max_tokens": 32_000, "tools": TOOLS, "system": system, **asked}
    async with Workspace(TALK, **tightened) as workspace, running(config(workspace)) as service:
        first = await post(service, headers=headers, **asked)
        if rule is None or what is None:
            assert (first.status, statuses(workspace)) == (400, [400]), "what is needed is never removed"
            assert await repairs(service) == {}
            return
        assert text_of(first) == "yes"
        assert len(statuses(workspace)) == 2
        assert text_of(await post(service, headers=headers, **asked)) == "yes"
        assert statuses(workspace)[1:] == [200, 200]
        assert await repairs(service) == {rule: {what: 2}}
        assert [record["rules"] for record in service.records] == [[rule]] * 2
        assert [record["api"] for record in service.records] == ["anthropic"] * 2


async def test_a_signature_of_another_model_is_taken_out_for_one_request() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "from elsewhere"}
    use = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "r"}
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [block, use]},
        {"role": "user", "content": [result]},
    ]
    async with Workspace(TALK) as workspace, running(config(workspace)) as service:
        for _ in range(2):
            asked: dict[str, Any] = {
                "messages": messages,
                "thinking": THINKING,
                "max_tokens": 32_000,
                "tools": TOOLS,
            }
            assert text_of(await post(service, **asked)) == "yes"
        assert statuses(workspace) == [400, 200] * 2
        assert "from elsewhere" not in workspace.requests[1].raw.decode()
        assert "thinking" not in workspace.requests[1].body
        assert service.records[0]["rules"] == ["thinking_history_removed"]


async def test_a_stream_is_repaired_before_its_first_byte() -> None:
    async with (
        Workspace(TALK, refused_keys=["metadata"]) as workspace,
        running(config(workspace)) as service,
    ):
        answered = await post(service, stream=True, metadata={"user_id": "u"})
        assert answered.status == 200
        assert (
            answered.body.count(b"event: message_start") == answered.body.count(b"event: message_stop") == 1
        )
        assert statuses(workspace) == [400, 200]


async def test_a_request_that_is_taken_is_sent_as_the_bytes_it_was() -> None:
    async with (
        Workspace(TALK, refused_keys=["metadata"]) as workspace,
        running(config(workspace)) as service,
    ):
        await post(service, temperature=0.5)
        await post(service, temperature=0.5, metadata={"user_id": "u"})
        await post(service, temperature=0.5)
        first, _, repaired, last = workspace.requests
        assert first.raw == repaired.raw == last.raw


async def test_what_cannot_be_repaired_is_told_once() -> None:
    fault = refusal("top_p: Extra inputs are not permitted", times=9)
    async with Workspace(script(fault)) as workspace, running(config(workspace)) as service:
        answered = await post(service, top_p=0.99)
        assert answered.status == 400
        assert "top_p: Extra inputs" in answered.json["error"]["message"]
        assert len(workspace.requests) == 2
        assert len(service.records) == 1


async def test_a_missing_route_is_not_repaired() -> None:
    async with (
        Workspace(TALK, native="none", refused_keys=["metadata"]) as workspace,
        running(config(workspace, api="auto")) as service,
    ):
        assert text_of(await post(service, metadata={"user_id": "u"})) == "yes"
        assert statuses(workspace) == [404, 200]
        assert await repairs(service) == {}
