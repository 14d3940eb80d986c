"""``"api": "auto"``: native where the workspace has it, chat where not, found out once."""

from __future__ import annotations

import asyncio
import json

import pytest

from ccr.sandbox import Fault, Script, Turn, Workspace
from tests.gateway.native_service import GATEWAY, SERVING, native_config, post
from tests.server.service import MODEL, Service, config_for, running
from tests.upstream.raw import Exchange, good_completion, raw_upstream

INVOCATIONS = f"/serving-endpoints/{MODEL}/invocations"
CATALOG_MODEL = "system.ai.claude-sonnet-4-5"
TURNS = [Turn(text=text) for text in "abcd"]


def findings(service: Service) -> list[dict[str, object]]:
    """Return the log lines that say where there is no native route."""
    return [
        entry.__dict__["fields"]
        for entry in service.log
        if entry.getMessage().startswith("no native Anthropic")
    ]


async def test_native_is_preferred() -> None:
    async with Workspace(Script(turns=TURNS)) as workspace:
        config = native_config(workspace.url, token=workspace.token, api="auto", path=INVOCATIONS)
        async with running(config) as service:
            assert (await post(service)).status == 200
            assert [record.path for record in workspace.requests] == [SERVING]
            assert service.records[0]["api"] == "anthropic"
            assert findings(service) == []


@pytest.mark.parametrize("path", [INVOCATIONS, "/serving-endpoints/chat/completions"])
async def test_without_the_route_it_is_chat_from_then_on(path: str) -> None:
    async with Workspace(Script(turns=TURNS), native="none") as workspace:
        config = native_config(workspace.url, token=workspace.token, api="auto", path=path)
        async with running(config) as service:
            for text in "abc":
                answered = await post(service, stream=text == "b")
                assert answered.status == 200
                assert f'"text":"{text}"'.encode() in answered.body
            assert [record.path for record in workspace.requests] == [SERVING, path, path, path]
            assert [record["outcome"] for record in service.records] == ["ok"] * 3
            assert all("api" not in record for record in service.records)
            (found,) = findings(service)
            assert (found["provider"], found["status"]) == ("databricks", 404)
            assert found["url"] == workspace.url + SERVING


async def test_many_first_requests_are_one_finding() -> None:
    async with Workspace(Script(turns=[Turn(text="a")], repeat_last=True), native="none") as workspace:
        config = native_config(workspace.url, token=workspace.token, api="auto", path=INVOCATIONS)
        async with running(config) as service:
            answers = await asyncio.gather(*(post(service) for _ in range(8)))
            assert {answered.status for answered in answers} == {200}
            assert len(findings(service)) == 1


async def test_each_place_of_a_workspace_is_found_out_by_itself() -> None:
    async with Workspace(Script(turns=TURNS), native="serving") as workspace:
        config = native_config(
            workspace.url, token=workspace.token, api="auto", path=SERVING, models=(MODEL, CATALOG_MODEL)
        )
        async with running(config) as service:
            refused = await post(service, model=CATALOG_MODEL)
            assert refused.status == 400, "the sandbox's gateway has no chat"
            assert (await post(service)).status == 200
            assert [record.path for record in workspace.requests] == [
                GATEWAY,
                "/ai-gateway/mlflow/v1/chat/completions",
                SERVING,
            ]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(kind="status", status=403), 403),
        (Fault(kind="status", status=429), 429),
        (Fault(kind="status", status=503), 503),
        (Fault(kind="status", status=404, body={"error_code": "NOT_FOUND", "message": "no such model"}), 400),
        (Fault(kind="redirect"), 502),
    ],
)
async def test_any_other_refusal_is_an_answer(fault: Fault, status: int) -> None:
    async with Workspace(Script(turns=[Turn(text="a", fault=fault)])) as workspace:
        config = native_config(workspace.url, token=workspace.token, api="auto", path=INVOCATIONS)
        async with running(config) as service:
            assert (await post(service)).status == status
            assert (await post(service)).status == 200
            assert [record.path for record in workspace.requests] == [SERVING, SERVING]
            assert findings(service) == []


async def test_what_is_said_is_logged_without_secrets() -> None:
    async def refuse(exchange: Exchange) -> None:
        said = "No API found for Bearer dapi0123456789abcdef0123456789abcdef " + "x" * 500
        await exchange.answer(json.dumps({"message": said}), 404)

    async with (
        raw_upstream(refuse, good_completion) as raw,
        running(native_config(raw.url, api="auto", path=INVOCATIONS)) as service,
    ):
        assert (await post(service)).json["content"] == [{"type": "text", "text": "hello"}]
        said = str(findings(service)[0]["said"])
        assert said.startswith("No API found")
        assert "dapi0123" not in said
        assert len(said) == 300


async def test_another_vendors_model_is_not_asked_there() -> None:
    models = (MODEL, "databricks-gpt-oss-120b")
    async with raw_upstream(good_completion) as raw:
        config = native_config(raw.url, api="auto", path=INVOCATIONS, models=models)
        async with running(config) as service:
            assert (await post(service, model=models[1])).status == 200
            (got,) = raw.got
            assert got.head.startswith("POST /serving-endpoints/databricks-gpt-oss-120b/invocations ")


async def test_a_provider_that_is_told_its_dialect_does_not_look_for_another() -> None:
    async with Workspace(Script(turns=TURNS), native="none") as workspace:
        async with running(native_config(workspace.url, token=workspace.token)) as service:
            answered = await post(service)
            assert answered.status == 400
            assert "Path must be of form" in answered.json["error"]["message"]
        async with running(config_for(workspace.url, token=workspace.token)) as service:
            assert (await post(service)).status == 200
        assert [record.path for record in workspace.requests] == [SERVING, INVOCATIONS]
