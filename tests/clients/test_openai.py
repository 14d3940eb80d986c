"""What the published ``openai`` client can do works through ccr."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ccr.sandbox import ToolCall, Turn, Usage
from tests.clients.conftest import MODELS
from tests.clients.features import feature
from tests.e2e.material import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
READ: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "read",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


def user(content: Any) -> ChatCompletionMessageParam:
    return {"role": "user", "content": content}


@feature("openai", "Whole answer")
async def test_create(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day.", usage=Usage(input=7, output=3))) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": "Be kind."}, user("Hello")],
            max_tokens=50,
            temperature=0.5,
            stop=["END"],
        )
        assert completion.choices[0].message.content == "Good day."
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (7, 3)


@feature("openai", "Stream of events")
async def test_raw_stream(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day to you, dear reader.")) as ours:
        stream = await ours.openai.chat.completions.create(model=MODEL, messages=[user("Hello")], stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(pieces) == "Good day to you, dear reader."
        assert len(pieces) > 1


@feature("openai", "Stream helper")
async def test_stream_helper(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day to you, dear reader.")) as ours:
        async with ours.openai.chat.completions.stream(model=MODEL, messages=[user("Hello")]) as stream:
            completion = await stream.get_final_completion()
        assert completion.choices[0].message.content == "Good day to you, dear reader."


@feature("openai", "Token counts of streams on demand", "`stream_options`")
async def test_stream_usage(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day.", usage=Usage(input=7, output=3))) as ours:
        stream = await ours.openai.chat.completions.create(
            model=MODEL, messages=[user("Hello")], stream=True, stream_options={"include_usage": True}
        )
        usages = [chunk.usage async for chunk in stream if chunk.usage is not None]
        assert (usages[-1].prompt_tokens, usages[-1].completion_tokens) == (7, 3)


@feature("openai", "Tools")
async def test_tools(connect_chat: Connect) -> None:
    async with connect_chat(Turn(tools=[ToolCall("read", {"path": "/ä"})]), Turn(text="Done.")) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL, messages=[user("Read it.")], tools=[READ], tool_choice="auto"
        )
        message = completion.choices[0].message
        assert completion.choices[0].finish_reason == "tool_calls"
        assert message.tool_calls is not None
        call = message.tool_calls[0]
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"path": "/ä"}
        final = await ours.openai.chat.completions.create(
            model=MODEL,
            tools=[READ],
            messages=[
                user("Read it."),
                message.to_dict(),  # type: ignore[list-item] # what the client documents for this
                {"role": "tool", "tool_call_id": call.id, "content": "text"},
            ],
        )
        assert final.choices[0].message.content == "Done."


@feature("openai", "Parallel tools")
async def test_parallel_tools(connect_chat: Connect) -> None:
    calls = [ToolCall("read", {"path": "/a"}), ToolCall("read", {"path": "/b"})]
    async with connect_chat(Turn(tools=calls)) as ours:
        async with ours.openai.chat.completions.stream(
            model=MODEL, messages=[user("Read both.")], tools=[READ], parallel_tool_calls=True
        ) as stream:
            completion = await stream.get_final_completion()
        made = completion.choices[0].message.tool_calls
        assert made is not None
        assert [json.loads(call.function.arguments) for call in made] == [{"path": "/a"}, {"path": "/b"}]


@feature("openai", "Tool choice")
async def test_forced_tool(connect_chat: Connect) -> None:
    async with connect_chat(Turn(tools=[ToolCall("read", {"path": "/a"})])) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL,
            messages=[user("Read.")],
            tools=[READ],
            tool_choice={"type": "function", "function": {"name": "read"}},
        )
        assert completion.choices[0].message.tool_calls is not None


@feature(
    "openai", "Thinking", "with `openai` by `extra_body`, answered in parts, both as the endpoint writes it"
)
async def test_thinking(connect_chat: Connect) -> None:
    asked = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    async with connect_chat(Turn(thinking="Hm.", text="Yes."), Turn(thinking="Ah.", text="No.")) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL, messages=[user("Hello")], max_tokens=5000, extra_body=asked
        )
        parts: Any = completion.choices[0].message.content
        assert [part["type"] for part in parts] == ["reasoning", "text"]
        assert parts[0]["summary"][0]["text"] == "Hm."
        stream = await ours.openai.chat.completions.create(
            model=MODEL, messages=[user("Hello")], max_tokens=5000, extra_body=asked, stream=True
        )
        deltas = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        assert "Ah." in json.dumps(deltas)


@feature("openai", "Images")
async def test_images(connect_chat: Connect) -> None:
    data = base64.b64encode(png()).decode()
    async with connect_chat(Turn(text="Red.")) as ours:
        completion = await ours.openai.chat.completions.create(
            model=MODEL,
            messages=[
                user(
                    [
                        {"type": "text", "text": "Which colour?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
                    ]
                )
            ],
        )
        assert completion.choices[0].message.content == "Red."
        assert data.encode() in ours.workspace.requests[0].raw


class Answer(BaseModel):
    colour: str
    count: int


@feature("openai", "Structured output", "asked for in words: Claude takes no `response_format`")
async def test_structured_output(connect_chat: Connect) -> None:
    said = json.dumps({"colour": "red", "count": 3})
    async with connect_chat(Turn(text=said)) as ours:
        completion = await ours.openai.chat.completions.parse(
            model=MODEL, messages=[user("Which?")], response_format=Answer
        )
        assert completion.choices[0].message.parsed == Answer(colour="red", count=3)
        assert b"colour" in ours.workspace.requests[0].raw


@feature("openai", "Listing models")
async def test_models(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        assert {model.id async for model in await ours.openai.models.list()} >= set(MODELS)


@feature("openai", "Looking a model up")
async def test_model(connect_chat: Connect) -> None:
    async with connect_chat() as ours:
        assert (await ours.openai.models.retrieve(MODEL)).id == MODEL


@feature("openai", "Model names with dates")
async def test_dated_name(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Yes.")) as ours:
        await ours.openai.chat.completions.create(model="claude-haiku-4-5-20251001", messages=[user("Hello")])
        assert ours.service.records[0]["upstream_model"] == MODELS[1]


@feature("openai", "Request ids")
async def test_request_ids(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="a")) as ours:
        completion = await ours.openai.chat.completions.create(model=MODEL, messages=[user("Hello")])
        assert [record["request_id"] for record in ours.service.records] == [completion._request_id]


@feature("openai", "Raw response")
async def test_raw_response(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="a")) as ours:
        raw = await ours.openai.chat.completions.with_raw_response.create(
            model=MODEL, messages=[user("Hello")]
        )
        assert raw.headers["content-type"] == "application/json"
        assert raw.parse().choices[0].message.content == "a"
