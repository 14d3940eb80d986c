"""The published clients work through ccr against the strict workspace."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anthropic
import openai
import pytest

from ccr.sandbox import Fault, Script, ToolCall, Turn, Workspace
from tests.server.service import KEY, MODEL, Service, config_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOOLS: list[anthropic.types.ToolParam] = [
    {
        "name": "read",
        "description": "Read a file.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
    }
]


@dataclass
class Set:
    workspace: Workspace
    service: Service
    anthropic: anthropic.AsyncAnthropic
    openai: openai.AsyncOpenAI


@contextlib.asynccontextmanager
async def clients(*turns: Turn) -> AsyncIterator[Set]:
    async with contextlib.AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(Workspace(Script(turns=turns)))
        service = await stack.enter_async_context(running(config_for(workspace.url, token=workspace.token)))
        first = anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url, max_retries=0)
        second = openai.AsyncOpenAI(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0)
        yield Set(
            workspace,
            service,
            await stack.enter_async_context(first),
            await stack.enter_async_context(second),
        )
        assert workspace.refusals == []


async def test_anthropic_messages() -> None:
    async with clients(
        Turn(text="Good day.", tools=[ToolCall("read", {"path": "/ä"})]), Turn(text="Done.")
    ) as ours:
        question: anthropic.types.MessageParam = {"role": "user", "content": "Read it."}
        message = await ours.anthropic.messages.create(
            model=MODEL, max_tokens=500, messages=[question], tools=TOOLS
        )
        assert message.stop_reason == "tool_use"
        assert [block.type for block in message.content] == ["text", "tool_use"]
        call = message.content[1]
        assert isinstance(call, anthropic.types.ToolUseBlock)
        assert call.input == {"path": "/ä"}
        final = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=500,
            tools=TOOLS,
            messages=[
                question,
                {"role": "assistant", "content": message.content},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "text"}],
                },
            ],
        )
        assert isinstance(final.content[0], anthropic.types.TextBlock)
        assert final.content[0].text == "Done."
        assert final.id != message.id


async def test_anthropic_streams() -> None:
    async with clients(
        Turn(thinking="Hm.", text="Good day.", tools=[ToolCall("read", {"path": "/x"})])
    ) as ours:
        async with ours.anthropic.messages.stream(
            model=MODEL,
            max_tokens=5000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[{"role": "user", "content": "Hello"}],
            tools=TOOLS,
        ) as stream:
            message = await stream.get_final_message()
            assert stream.response.headers["request-id"].startswith("req_")
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
        assert message.stop_reason == "tool_use"
        assert message.usage.output_tokens > 0


async def test_anthropic_tokens_and_models() -> None:
    async with clients() as ours:
        count = await ours.anthropic.messages.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        assert count.input_tokens > 0
        found = [model.id async for model in await ours.anthropic.models.list(limit=1)]
        assert found == [MODEL]
        assert not ours.workspace.requests


async def test_anthropic_errors() -> None:
    faults = [Fault(kind="status", status=429, retry_after="7"), Fault(kind="status", status=503)]
    async with clients(*(Turn(text="x", fault=fault) for fault in faults)) as ours:
        for kind, status in ((anthropic.RateLimitError, 429), (anthropic.InternalServerError, 503)):
            with pytest.raises(kind) as caught:
                await ours.anthropic.messages.create(
                    model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "x"}]
                )
            assert isinstance(caught.value, anthropic.APIStatusError)
            assert caught.value.status_code == status
            assert caught.value.request_id is not None
            ours.workspace.play(Script(turns=[Turn(text="x", fault=faults[1])]))
        wrong = ours.anthropic.with_options(auth_token="wrong")
        with pytest.raises(anthropic.PermissionDeniedError, match="ccr env"):
            await wrong.messages.create(
                model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "x"}]
            )


async def test_openai_completions() -> None:
    async with clients(Turn(text="Good day."), Turn(text="Good evening.")) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        assert completion.choices[0].message.content == "Good day."
        assert completion._request_id is not None
        stream = await ours.openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello again"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text == "Good evening."


async def test_openai_models_and_errors() -> None:
    async with clients() as ours:
        assert [model.id async for model in await ours.openai.models.list()] == [MODEL]
        with pytest.raises(openai.BadRequestError) as caught:
            await ours.openai.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "x"}]
            )
        assert caught.value.code == "invalid_request"
        assert "is not configured" in caught.value.message
