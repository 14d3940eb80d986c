"""The published client works through ccr on the strict workspace's native route."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anthropic
import pytest

from ccr.sandbox import Fault, Script, ToolCall, Turn, Workspace
from tests.gateway.native_service import native_config
from tests.server.service import KEY, MODEL, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOOLS: list[anthropic.types.ToolParam] = [
    {
        "name": "read",
        "description": "Read a file.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
    }
]
QUESTION: anthropic.types.MessageParam = {"role": "user", "content": "Read it."}


@dataclass
class Set:
    workspace: Workspace
    client: anthropic.AsyncAnthropic


@contextlib.asynccontextmanager
async def connected(*turns: Turn) -> AsyncIterator[Set]:
    async with contextlib.AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(Workspace(Script(turns=turns)))
        config = native_config(workspace.url, token=workspace.token)
        service = await stack.enter_async_context(running(config))
        client = anthropic.AsyncAnthropic(auth_token=KEY, api_key=None, base_url=service.url, max_retries=0)
        yield Set(workspace, await stack.enter_async_context(client))
        assert workspace.refusals == []


async def test_messages_with_tools_over_two_turns() -> None:
    calls = [ToolCall("read", {"path": "/ä"}), ToolCall("read", {"path": "/b"})]
    async with connected(Turn(text="Good day.", tools=calls), Turn(text="Done.")) as ours:
        message = await ours.client.messages.create(
            model=MODEL, max_tokens=500, messages=[QUESTION], tools=TOOLS
        )
        assert message.stop_reason == "tool_use"
        uses = [block for block in message.content if isinstance(block, anthropic.types.ToolUseBlock)]
        assert [use.input for use in uses] == [{"path": "/ä"}, {"path": "/b"}]
        results: list[anthropic.types.ToolResultBlockParam] = [
            {"type": "tool_result", "tool_use_id": use.id, "content": "text"} for use in uses
        ]
        final = await ours.client.messages.create(
            model=MODEL,
            max_tokens=500,
            tools=TOOLS,
            messages=[
                QUESTION,
                {"role": "assistant", "content": message.content},
                {"role": "user", "content": results},
            ],
        )
        assert [block.type for block in final.content] == ["text"]
        assert (final.model, final.stop_reason) == (MODEL, "end_turn")


async def test_streams_with_thinking() -> None:
    turn = Turn(thinking="Hm.", text="Good day.", tools=[ToolCall("read", {"path": "/x"})])
    async with connected(turn) as ours:
        async with ours.client.beta.messages.stream(
            model=MODEL,
            max_tokens=5000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[{"role": "user", "content": "Hello"}],
            tools=[{**TOOLS[0], "type": "custom"}],
            betas=["interleaved-thinking-2025-05-14", "context-management-2025-06-27"],
        ) as stream:
            message = await stream.get_final_message()
            assert stream.response.headers["request-id"].startswith("req_")
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
        assert message.usage.output_tokens > 0
        sent = ours.workspace.requests[0].headers["anthropic-beta"]
        assert sent == "interleaved-thinking-2025-05-14"


async def test_errors_before_and_in_a_stream() -> None:
    faults = [
        Fault(kind="status", status=429, retry_after="7"),
        Fault(kind="error_event", at=3, consumes_turn=True),
        Fault(kind="cut", how="end", at=3, consumes_turn=True),
    ]
    async with connected(*(Turn(text="x", fault=fault) for fault in faults)) as ours:
        with pytest.raises(anthropic.RateLimitError) as caught:
            await ours.client.messages.create(model=MODEL, max_tokens=5, messages=[QUESTION])
        assert caught.value.response.headers["retry-after"] == "7"
        await ours.client.messages.create(model=MODEL, max_tokens=5, messages=[QUESTION])
        for said in ("Overloaded", "the answer was cut"):
            with pytest.raises(anthropic.APIStatusError, match=said):
                async with ours.client.messages.stream(
                    model=MODEL, max_tokens=5, messages=[QUESTION]
                ) as stream:
                    await stream.get_final_message()
