"""What the workspace says it serves, with each combination of native routes."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from ccr.sandbox import Workspace
from ccr.sandbox.discovery import Native, display_name
from tests.sandbox.bodies import NEW, OLD, native_body
from tests.sandbox.http import GATEWAY, SERVING, ask, get

ENDPOINTS = "/api/2.0/serving-endpoints"
FOUNDATION = "/api/2.0/serving-endpoints:foundation-models"
SERVICES = "/api/2.1/unity-catalog/model-services"
MODELS = "/ai-gateway/anthropic/v1/models"
PARENT = {"parent": "schemas/system.ai"}
THREE = (OLD, NEW, "databricks-claude-haiku-4-5")


@pytest.mark.parametrize(
    ("native", "serving", "gateway"),
    [("both", 200, 200), ("serving", 200, 404), ("gateway", 404, 200), ("none", 404, 404)],
)
async def test_native_routes(native: Native, serving: int, gateway: int) -> None:
    async with Workspace(models=[OLD], native=native) as workspace:
        answers = {
            path: await ask(workspace, "POST", path, json=native_body()) for path in (SERVING, GATEWAY)
        }
        lists = {
            MODELS: await get(workspace, MODELS),
            SERVICES: await get(workspace, SERVICES, params=PARENT),
        }
        found = (await get(workspace, FOUNDATION)).json["endpoints"][0]["config"]["served_entities"][0]
    assert [answers[path].status for path in (SERVING, GATEWAY)] == [serving, gateway]
    assert {answered.status for answered in lists.values()} == {gateway}
    if serving == 404:
        assert answers[SERVING].json["message"].startswith("Path must be of form /serving-endpoints/")
    if gateway == 404:
        assert answers[GATEWAY].json["error_code"] == "ENDPOINT_NOT_FOUND"
        assert lists[MODELS].json["message"] == f"No API found for '{MODELS}'"
    model = found["foundation_model"]
    assert model["ai_gateway_v2_supported"] is (gateway == 200)
    assert ("anthropic/v1/messages" in model["api_types"]) is (native != "none")


@pytest.mark.parametrize("path", [ENDPOINTS, FOUNDATION, SERVICES, MODELS])
async def test_lists_are_for_those_who_may_see_them(path: str) -> None:
    async with Workspace() as workspace:
        assert (await get(workspace, path, token="")).status == 401
        assert (await get(workspace, path, token="wrong")).status == 403


async def test_the_same_models_in_every_list() -> None:
    async with Workspace(models=THREE) as workspace:
        endpoints = (await get(workspace, ENDPOINTS)).json["endpoints"]
        foundation = (await get(workspace, FOUNDATION)).json["endpoints"]
        services = (await get(workspace, SERVICES, params=PARENT)).json
        models = (await get(workspace, MODELS)).json
    assert [endpoint["name"] for endpoint in endpoints] == [*THREE]
    assert {endpoint["state"]["ready"] for endpoint in endpoints} == {"READY"}
    assert [endpoint["name"] for endpoint in foundation] == [*THREE]
    assert [service["name"] for service in services["model_services"]] == [
        f"model-services/system.ai.{name.removeprefix('databricks-')}" for name in THREE
    ]
    assert "next_page_token" not in services
    assert [model["id"] for model in models["data"]] == [*THREE]
    assert (models["has_more"], models["first_id"], models["last_id"]) == (False, THREE[0], THREE[-1])


async def test_pages_of_services() -> None:
    async with Workspace(models=THREE) as workspace:
        first = (await get(workspace, SERVICES, params=PARENT | {"page_size": "2"})).json
        query = PARENT | {"page_size": "2", "page_token": first["next_page_token"]}
        second = (await get(workspace, SERVICES, params=query)).json
    assert (len(first["model_services"]), len(second["model_services"])) == (2, 1)
    assert "next_page_token" not in second


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        (SERVICES, {}, "parent must be"),
        (SERVICES, {"parent": "schemas/main.default"}, "parent must be"),
        (SERVICES, PARENT | {"page_size": "0"}, "page_size: '0'"),
        (SERVICES, PARENT | {"page_token": "x"}, "page_token: 'x'"),
        (MODELS, {"limit": "1001"}, "limit: '1001'"),
        (MODELS, {"after_id": "x"}, "after_id: 'x'"),
    ],
)
async def test_queries_that_are_not_taken(path: str, query: dict[str, str], message: str) -> None:
    async with Workspace() as workspace:
        refused = await get(workspace, path, params=query)
    assert refused.status == 400
    assert message in refused.json["message"]


async def test_the_published_client_reads_the_gateways_list() -> None:
    async with Workspace(models=THREE) as workspace:
        client = anthropic.AsyncAnthropic(
            base_url=f"{workspace.url}/ai-gateway/anthropic", auth_token=workspace.token, max_retries=0
        )
        found = [model async for model in client.models.list(limit=2)]
        await client.close()
        assert [model.id for model in found] == [*THREE]
        assert found[0].display_name == "Claude Sonnet 4.5"
        empty = Workspace(models=[])
        async with empty:
            assert (await get(empty, MODELS)).json["first_id"] is None


@pytest.mark.parametrize(
    ("path", "model", "status", "code"),
    [
        (GATEWAY, "system.ai.claude-sonnet-4-5", 200, ""),
        (GATEWAY, OLD, 200, ""),
        (SERVING, "system.ai.claude-sonnet-4-5", 404, "RESOURCE_DOES_NOT_EXIST"),
        (GATEWAY, "system.ai.claude-none", 404, "NOT_FOUND"),
        (GATEWAY, "nothing", 404, "RESOURCE_DOES_NOT_EXIST"),
        (GATEWAY, 5, 404, "RESOURCE_DOES_NOT_EXIST"),
    ],
)
async def test_names_on_the_gateway(path: str, model: Any, status: int, code: str) -> None:
    async with Workspace(models=[OLD]) as workspace:
        answered = await ask(workspace, "POST", path, json=native_body(model=model))
    assert answered.status == status
    assert answered.json.get("error_code", "") == code


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (OLD, "Claude Sonnet 4.5"),
        ("databricks-claude-fable-5", "Claude Fable 5"),
        ("my-own-model", "My Own Model"),
    ],
)
def test_names_for_people(endpoint: str, name: str) -> None:
    assert display_name(endpoint) == name
