"""What the published ``anthropic`` client can do works through ccr, on both routes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import anthropic
from anthropic import beta_async_tool
from pydantic import BaseModel

from ccr.sandbox import ToolCall, Turn, Usage
from tests.clients.conftest import MODELS
from tests.clients.features import feature
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
READ: anthropic.types.ToolParam = {
    "name": "read",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def user(content: Any) -> anthropic.types.MessageParam:
    return {"role": "user", "content": content}


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@feature("anthropic", "Whole answer")
async def test_create(connect: Connect) -> None:
    async with connect(Turn(text="Good day.", usage=Usage(input=7, output=3))) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=50,
            system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            extra_body={"temperature": 0.5},
            stop_sequences=["END"],
            metadata={"user_id": "someone"},
            messages=[user("Hello")],
        )
        assert text_of(message) == "Good day."
        assert (message.role, message.type, message.model) == ("assistant", "message", MODEL)
        assert message.stop_reason == "end_turn"
        assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 3)
        assert message.id.startswith("msg_")


@feature("anthropic", "Model names with dates", "served by the configured model of that name")
async def test_dated_name(connect: Connect) -> None:
    async with connect(Turn(text="Yes.")) as ours:
        message = await ours.anthropic.messages.create(
            model="claude-haiku-4-5-20251001", max_tokens=50, messages=[user("Hello")]
        )
        assert message.model == "claude-haiku-4-5-20251001"
        assert ours.service.records[0]["upstream_model"] == MODELS[1]


@feature("anthropic", "Stream of events")
async def test_raw_stream(connect: Connect) -> None:
    async with connect(Turn(text="Good day to you, dear reader.", usage=Usage(input=7, output=3))) as ours:
        stream = await ours.anthropic.messages.create(
            model=MODEL, max_tokens=50, messages=[user("Hello")], stream=True
        )
        kinds = [event.type async for event in stream]
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1


@feature("anthropic", "Stream helper")
async def test_stream_helper(connect: Connect) -> None:
    async with connect(Turn(text="Good day to you, dear reader.", usage=Usage(input=7, output=3))) as ours:
        async with ours.anthropic.messages.stream(
            model=MODEL, max_tokens=50, messages=[user("Hello")]
        ) as stream:
            pieces = [piece async for piece in stream.text_stream]
            message = await stream.get_final_message()
        assert "".join(pieces) == text_of(message) == "Good day to you, dear reader."
        assert len(pieces) > 1
        assert message.usage.output_tokens == 3


@feature("anthropic", "Tools")
async def test_tools(connect: Connect) -> None:
    async with connect(
        Turn(text="I look.", tools=[ToolCall("read", {"path": "/ä"})]), Turn(text="Done.")
    ) as ours:
        asked = [user("Read it.")]
        message = await ours.anthropic.messages.create(
            model=MODEL, max_tokens=500, messages=asked, tools=[READ], tool_choice={"type": "auto"}
        )
        assert message.stop_reason == "tool_use"
        call = message.content[1]
        assert isinstance(call, anthropic.types.ToolUseBlock)
        assert call.input == {"path": "/ä"}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "no such file", "is_error": True}
        final = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=500,
            tools=[READ],
            messages=[*asked, {"role": "assistant", "content": message.content}, user([result])],
        )
        assert text_of(final) == "Done."


@feature("anthropic", "Parallel tools")
async def test_parallel_tools(connect: Connect) -> None:
    calls = [ToolCall("read", {"path": "/a"}), ToolCall("read", {"path": "/b"})]
    async with connect(Turn(tools=calls), Turn(text="Done.")) as ours:
        async with ours.anthropic.messages.stream(
            model=MODEL, max_tokens=500, messages=[user("Read both.")], tools=[READ]
        ) as stream:
            message = await stream.get_final_message()
        uses = [block for block in message.content if block.type == "tool_use"]
        assert [use.input for use in uses] == [{"path": "/a"}, {"path": "/b"}]
        assert len({use.id for use in uses}) == 2
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": "x"} for use in uses]
        final = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=500,
            tools=[READ],
            messages=[user("Read both."), {"role": "assistant", "content": message.content}, user(results)],
        )
        assert text_of(final) == "Done."


@feature("anthropic", "Tool choice")
async def test_forced_tool(connect: Connect) -> None:
    async with connect(Turn(tools=[ToolCall("read", {"path": "/a"})])) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=500,
            messages=[user("Read.")],
            tools=[READ],
            tool_choice={"type": "tool", "name": "read", "disable_parallel_tool_use": True},
        )
        assert [block.type for block in message.content] == ["tool_use"]


@feature("anthropic", "Tool runner", "threads are refused in the form on which it sends the whole history")
async def test_tool_runner(connect: Connect) -> None:
    read: list[str] = []

    @beta_async_tool
    async def read_file(path: str) -> str:
        """Read a file."""
        read.append(path)
        return "the text"

    async with connect(Turn(tools=[ToolCall("read_file", {"path": "/a"})]), Turn(text="Done.")) as ours:
        runner = ours.anthropic.beta.messages.tool_runner(
            model=MODEL, max_tokens=500, messages=[{"role": "user", "content": "Read."}], tools=[read_file]
        )
        final = await runner.until_done()
        assert read == ["/a"]
        assert [block.type for block in final.content] == ["text"]
        assert b"the text" in ours.workspace.requests[1].raw
        assert b'"Read."' in ours.workspace.requests[1].raw


@feature("anthropic", "Thinking", "signatures are replayed")
async def test_thinking(connect: Connect) -> None:
    async with connect(
        Turn(thinking="Hm.", tools=[ToolCall("read", {"path": "/a"})]), Turn(thinking="Ah.", text="Done.")
    ) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=5000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[user("Read.")],
            tools=[READ],
        )
        thought, use = message.content
        assert thought.type == "thinking"
        assert thought.thinking == "Hm."
        assert thought.signature
        assert use.type == "tool_use"
        async with ours.anthropic.messages.stream(
            model=MODEL,
            max_tokens=5000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            tools=[READ],
            messages=[
                user("Read."),
                {"role": "assistant", "content": message.content},
                user([{"type": "tool_result", "tool_use_id": use.id, "content": "x"}]),
            ],
        ) as stream:
            final = await stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]


@feature("anthropic", "Images")
async def test_images(connect: Connect) -> None:
    data = base64.b64encode(png()).decode()
    async with connect(Turn(text="Red.")) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=50,
            messages=[
                user(
                    [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": data},
                        },
                        {"type": "text", "text": "Which colour?"},
                    ]
                )
            ],
        )
        assert text_of(message) == "Red."
        assert data.encode() in ours.workspace.requests[0].raw


@feature("anthropic", "PDF documents", "chat endpoints take none: the model is told so, docs/translation.md")
async def test_documents(connect: Connect) -> None:
    data = base64.b64encode(pdf()).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    async with connect(Turn(text="A page.")) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=50,
            messages=[
                user([{"type": "document", "source": source}, {"type": "text", "text": "What is it?"}])
            ],
        )
        assert text_of(message) == "A page."


@feature("anthropic", "Prompt caching")
async def test_caching(connect: Connect) -> None:
    usage = Usage(input=10, output=2, cache_read=90, cache_creation=20)
    async with connect(Turn(text="Yes.", usage=usage)) as ours:
        message = await ours.anthropic.messages.create(
            model=MODEL,
            max_tokens=50,
            system=[{"type": "text", "text": "x" * 9000, "cache_control": {"type": "ephemeral"}}],
            messages=[user("Hello")],
        )
        assert message.usage.input_tokens == 10
        assert message.usage.cache_read_input_tokens == 90
        assert message.usage.cache_creation_input_tokens == 20
        assert b'"cache_control"' in ours.workspace.requests[0].raw


@feature("anthropic", "Counting tokens", "an estimate that learns, nothing is sent")
async def test_count_tokens(connect: Connect) -> None:
    async with connect() as ours:
        short = await ours.anthropic.messages.count_tokens(model=MODEL, messages=[user("Hello")])
        long = await ours.anthropic.messages.count_tokens(
            model=MODEL, messages=[user("Hello " * 500)], tools=[READ], system="Be kind."
        )
        assert 0 < short.input_tokens < long.input_tokens
        assert ours.workspace.requests == []


@feature("anthropic", "Listing models")
async def test_models_in_pages(connect: Connect) -> None:
    async with connect() as ours:
        page = await ours.anthropic.models.list(limit=1)
        assert (len(page.data), page.has_more) == (1, True)
        found = [model async for model in page]
        assert {model.id for model in found} >= set(MODELS)
        assert all(model.display_name and model.type == "model" for model in found)


@feature("anthropic", "Looking a model up")
async def test_model(connect: Connect) -> None:
    async with connect() as ours:
        model = await ours.anthropic.models.retrieve(MODEL)
        assert model.id == MODEL


class Answer(BaseModel):
    colour: str
    count: int


@feature("anthropic", "Structured output", "a forced tool, or an instruction: docs/translation.md")
async def test_structured_output(connect: Connect) -> None:
    answer = {"colour": "red", "count": 3}
    by_tool = Turn(tools=[ToolCall("json_response", answer)], when=lambda view: bool(view.tools))
    by_text = Turn(text=json.dumps(answer), when=lambda view: not view.tools)
    async with connect(by_tool, by_text) as ours:
        message = await ours.anthropic.messages.parse(
            model=MODEL, max_tokens=500, messages=[user("Which?")], output_format=Answer
        )
        assert message.parsed_output == Answer(colour="red", count=3)


@feature("anthropic", "Request ids")
async def test_request_ids(connect: Connect) -> None:
    async with connect(Turn(text="a"), Turn(text="b")) as ours:
        ids = []
        for _ in range(2):
            message = await ours.anthropic.messages.create(
                model=MODEL, max_tokens=5, messages=[user("Hello")]
            )
            assert message._request_id is not None
            ids.append(message._request_id)
        assert len(set(ids)) == 2
        assert [record["request_id"] for record in ours.service.records] == ids


@feature("anthropic", "Raw response")
async def test_raw_response(connect: Connect) -> None:
    async with connect(Turn(text="a"), Turn(text="b")) as ours:
        raw = await ours.anthropic.messages.with_raw_response.create(
            model=MODEL, max_tokens=5, messages=[user("Hello")]
        )
        assert raw.status_code == 200
        assert raw.headers["content-type"] == "application/json"
        assert text_of(await raw.parse()) == "a"
        async with ours.anthropic.messages.with_streaming_response.create(
            model=MODEL, max_tokens=5, messages=[user("Hello")]
        ) as streaming:
            assert json.loads(await streaming.read())["content"][0]["text"] == "b"


@feature("anthropic", "Beta headers", "those the endpoint knows are sent on the native route")
async def test_betas(connect: Connect) -> None:
    async with connect(Turn(text="a")) as ours:
        message = await ours.anthropic.beta.messages.create(
            model=MODEL,
            max_tokens=5,
            messages=[{"role": "user", "content": "Hello"}],
            betas=["interleaved-thinking-2025-05-14", "unheard-of-2030-01-01"],
            context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        )
        assert message.content[0].type == "text"
        sent = ours.workspace.requests[0].headers.get("anthropic-beta")
        assert sent in {None, "interleaved-thinking-2025-05-14"}
        assert (sent is None) == ("invocations" in ours.workspace.requests[0].path)
