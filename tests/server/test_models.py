"""The list of models over real sockets, read by the published clients; a discovered model is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING

import anthropic
import openai
import pytest

from ccr.sandbox import Script, Turn, Workspace
from ccr.upstream.discovered import Remembered, with_discovered
from ccr.upstream.discovery import ServedModel
from tests.server.raw_client import ask, request
from tests.server.service import KEY, MODEL, Service, config_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ccr.config.model import Api

OPUS = "databricks-claude-opus-4-8"
HAIKU = "databricks-claude-haiku-4-5"
TALK = Script(turns=[Turn(text="yes")], repeat_last=True)
NAMES = [MODEL, HAIKU, OPUS, "system.ai.claude-opus-4-8"]


@contextlib.asynccontextmanager
async def discovering(api: Api = "chat") -> AsyncIterator[tuple[Workspace, Service]]:
    served = tuple(ServedModel(name=name, task="llm/v1/chat") for name in NAMES)
    async with Workspace(TALK) as workspace:
        config = config_for(workspace.url, token=workspace.token)
        providers = tuple(dataclasses.replace(each, api=api) for each in config.providers)
        config = dataclasses.replace(config, providers=providers)
        config = with_discovered(config, {workspace.url: Remembered(1.0, served)})
        async with running(config) as service:
            yield workspace, service


async def test_anthropic_s_client_reads_pages_and_single_models() -> None:
    async with (
        discovering() as (_, service),
        anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url) as client,
    ):
        assert [model.id async for model in await client.models.list(limit=1)] == NAMES
        page = await client.models.list(limit=2, before_id=NAMES[3])
        assert ([model.id for model in page.data], page.has_more) == (NAMES[1:3], True)
        model = await client.models.retrieve(f"databricks,{OPUS}")
        assert (model.id, model.type, model.display_name) == (OPUS, "model", f"{OPUS} (databricks)")
        with pytest.raises(anthropic.NotFoundError, match="no-such-model"):
            await client.models.retrieve("no-such-model/at all")
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            await client.models.list(limit=5000)


async def test_openai_s_client_reads_the_list_and_single_models() -> None:
    async with (
        discovering() as (_, service),
        openai.AsyncOpenAI(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0) as client,
    ):
        found = [model async for model in await client.models.list()]
        assert [(model.id, model.object, model.owned_by) for model in found] == [
            (name, "model", "databricks") for name in NAMES
        ]
        assert (await client.models.retrieve(f"databricks,{OPUS}")).id == OPUS
        with pytest.raises(openai.NotFoundError) as caught:
            await client.models.retrieve("nothing")
        assert caught.value.code == "not_found"


async def test_too_many_fields_in_a_query_are_refused() -> None:
    async with discovering() as (_, service):
        target = "/v1/models?" + "&".join(f"a{number}=1" for number in range(30))
        data = request(service.port, target, method="GET").replace(
            b"\r\n\r\n", b"\r\nanthropic-version: 1\r\n\r\n"
        )
        answered = await ask(service.port, data)
        assert (answered.status, answered.json["type"]) == (400, "error")


@pytest.mark.parametrize("name", [OPUS, f"databricks,{OPUS}", f"{OPUS.upper()}[1m]"])
@pytest.mark.parametrize("api", ["chat", "anthropic"])
async def test_a_discovered_model_answers_to_its_name(name: str, api: Api) -> None:
    async with (
        discovering(api) as (workspace, service),
        anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url) as client,
    ):
        message = await client.messages.create(
            model=name, max_tokens=10, messages=[{"role": "user", "content": "hi"}]
        )
        assert message.stop_reason == "end_turn"
        place = "anthropic/v1/messages" if api == "anthropic" else f"{OPUS}/invocations"
        assert workspace.requests[0].path == f"/serving-endpoints/{place}"
        assert workspace.refusals == []
        assert service.records[0]["upstream_model"] == OPUS


async def test_a_catalog_name_is_asked_at_the_gateway() -> None:
    async with (
        discovering("anthropic") as (workspace, service),
        anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url) as client,
    ):
        await client.messages.create(
            model=NAMES[3], max_tokens=10, messages=[{"role": "user", "content": "hi"}]
        )
        assert workspace.requests[0].path == "/ai-gateway/anthropic/v1/messages"


async def test_families_and_defaults_are_served_by_what_is_configured() -> None:
    async with (
        discovering() as (workspace, service),
        anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url) as client,
    ):
        for name in ("claude-haiku-4-5", "claude-opus-4-8"):
            await client.messages.create(
                model=name, max_tokens=10, messages=[{"role": "user", "content": "hi"}]
            )
        assert {json.loads(record.raw)["model"] for record in workspace.requests} == {MODEL}
