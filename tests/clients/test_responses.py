"""What the published ``openai`` client can do with ``/v1/responses`` works through ccr."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import openai
from pydantic import BaseModel

from ccr.sandbox import ToolCall, Turn, Usage
from tests.clients.conftest import MODELS
from tests.clients.features import feature
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from openai.types.responses import FunctionToolParam, Response

    from tests.clients.conftest import Connected

    Connect = Callable[..., AbstractAsyncContextManager[Connected]]

MODEL = MODELS[0]
READ: FunctionToolParam = {
    "type": "function",
    "name": "read",
    "description": "Read a file.",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    "strict": False,
}


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def as_input(response: Response) -> list[Any]:
    """Return what was said, in the way the client documents for the next request."""
    return [item.to_dict() for item in response.output]


@feature("responses", "Whole answer")
async def test_create(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day.", usage=Usage(input=7, output=3, cache_read=4))) as ours:
        response = await ours.openai.responses.create(
            model=MODEL,
            instructions="Be kind.",
            input="Hello",
            max_output_tokens=50,
            temperature=0.5,
            metadata={"as": "it is"},
        )
        assert response.output_text == "Good day."
        assert (response.status, response.metadata) == ("completed", {"as": "it is"})
        assert response.to_dict()["store"] is False
        assert response.usage is not None
        assert response.usage.output_tokens == 3
        assert response.usage.input_tokens_details.cached_tokens == 4
        assert response.usage.total_tokens == response.usage.input_tokens + 3
        sent = ours.workspace.requests[0].body
        assert sent["messages"][0] == {"role": "system", "content": "Be kind."}
        assert (sent["max_tokens"], sent["temperature"]) == (50, 0.5)
        assert "metadata_dropped" in ours.service.records[0]["rules"]


@feature("responses", "Stream of events")
async def test_raw_stream(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Good day to you, dear reader.")) as ours:
        stream = await ours.openai.responses.create(model=MODEL, input="Hello", stream=True)
        events = [event async for event in stream]
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "Good day to you, dear reader."
        assert len(deltas) > 1
        assert [event.sequence_number for event in events] == list(range(len(events)))
        last = events[-1]
        assert last.type == "response.completed"
        assert last.response.output_text == "Good day to you, dear reader."


@feature("responses", "Stream helper")
async def test_stream_helper(connect_chat: Connect) -> None:
    async with connect_chat(
        Turn(text="Good day to you, dear reader.", usage=Usage(input=7, output=3))
    ) as ours:
        async with ours.openai.responses.stream(model=MODEL, input=[user("Hello")]) as stream:
            response = await stream.get_final_response()
        assert response.output_text == "Good day to you, dear reader."
        assert response.usage is not None
        assert response.usage.output_tokens == 3


@feature("responses", "Tools")
async def test_tools(connect_chat: Connect) -> None:
    async with connect_chat(
        Turn(text="Wait.", tools=[ToolCall("read", {"path": "/ä"})]), Turn(text="Done.")
    ) as ours:
        response = await ours.openai.responses.create(
            model=MODEL, input="Read it.", tools=[READ], tool_choice="auto"
        )
        said, call = response.output
        assert said.type == "message"
        assert call.type == "function_call"
        assert (call.name, json.loads(call.arguments)) == ("read", {"path": "/ä"})
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "text"}
        final = await ours.openai.responses.create(
            model=MODEL, tools=[READ], input=[user("Read it."), *as_input(response), result]
        )
        assert final.output_text == "Done."


@feature("responses", "Custom tools", "a function with one text as its argument; a grammar is told in words")
async def test_custom_tools(connect_chat: Connect) -> None:
    patch: Any = {"type": "custom", "name": "patch", "description": "Change files."}
    async with connect_chat(
        Turn(tools=[ToolCall("patch", {"input": "*** Begin\n+ä"})]), Turn(text="Done.")
    ) as ours:
        async with ours.openai.responses.stream(model=MODEL, input="Do it.", tools=[patch]) as stream:
            response = await stream.get_final_response()
        (call,) = response.output
        assert call.type == "custom_tool_call"
        assert (call.name, call.input) == ("patch", "*** Begin\n+ä")
        result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "applied"}
        final = await ours.openai.responses.create(
            model=MODEL, tools=[patch], input=[user("Do it."), *as_input(response), result]
        )
        assert final.output_text == "Done."


@feature("responses", "Parallel tools")
async def test_parallel_tools(connect_chat: Connect) -> None:
    calls = [ToolCall("read", {"path": "/a"}), ToolCall("read", {"path": "/b"})]
    async with connect_chat(Turn(tools=calls), Turn(text="Both.")) as ours:
        async with ours.openai.responses.stream(
            model=MODEL, input="Read both.", tools=[READ], parallel_tool_calls=True
        ) as stream:
            response = await stream.get_final_response()
        made = [item for item in response.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in made] == [{"path": "/a"}, {"path": "/b"}]
        results: list[Any] = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "x"}
            for call in reversed(made)
        ]
        final = await ours.openai.responses.create(
            model=MODEL, tools=[READ], input=[user("Read both."), *as_input(response), *results]
        )
        assert final.output_text == "Both."


@feature("responses", "Tool choice")
async def test_forced_tool(connect_chat: Connect) -> None:
    async with connect_chat(Turn(tools=[ToolCall("read", {"path": "/a"})])) as ours:
        response = await ours.openai.responses.create(
            model=MODEL, input="Read.", tools=[READ], tool_choice={"type": "function", "name": "read"}
        )
        assert [item.type for item in response.output] == ["function_call"]
        sent = ours.workspace.requests[0].body
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "read"}}


@feature("responses", "Tools that run at OpenAI", "left out, and the model is told")
async def test_hosted_tools(connect_chat: Connect) -> None:
    search: Any = {"type": "web_search"}
    async with connect_chat(Turn(text="I cannot search.")) as ours:
        await ours.openai.responses.create(
            model=MODEL,
            input="Search.",
            tools=[search, READ],
            tool_choice=search,
        )
        sent = ours.workspace.requests[0].body
        assert [tool["function"]["name"] for tool in sent["tools"]] == ["read"]
        told = sent["messages"][0]["content"][0]["text"]
        assert "not available in this environment: web_search" in told
        rules = ours.service.records[0]["rules"]
        assert {"server_tools_dropped", "tool_choice_dropped"} <= set(rules)


@feature(
    "responses", "Thinking", "`reasoning.effort`; replayed by `encrypted_content`, when that is included"
)
async def test_thinking(connect_chat: Connect) -> None:
    turns = (
        Turn(thinking="Hm.", tools=[ToolCall("read", {"path": "/a"})]),
        Turn(thinking="Ah.", text="Yes."),
    )
    asked: Any = {
        "model": MODEL,
        "tools": [READ],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    async with connect_chat(*turns) as ours:
        async with ours.openai.responses.stream(input="Hello", **asked) as stream:
            response = await stream.get_final_response()
        thought, call = response.output
        assert thought.type == "reasoning"
        assert [each.text for each in thought.summary] == ["Hm."]
        assert thought.encrypted_content is not None
        assert call.type == "function_call"
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "text"}
        final = await ours.openai.responses.create(
            input=[user("Hello"), *as_input(response), result], **asked
        )
        assert final.output_text == "Yes."
        first, second = (request.body for request in ours.workspace.requests)
        assert first["thinking"]["type"] == second["thinking"]["type"] == "enabled"
        (part,) = second["messages"][1]["content"]
        assert part["type"] == "reasoning"
        assert part["summary"][0]["text"] == "Hm."
        assert part["summary"][0]["signature"]


async def test_thinking_that_is_not_included_is_not_sent_back(connect_chat: Connect) -> None:
    async with connect_chat(Turn(thinking="Hm.", text="Yes."), Turn(text="No.")) as ours:
        asked: Any = {"model": MODEL, "reasoning": {"effort": "high"}}
        response = await ours.openai.responses.create(input="Hello", **asked)
        thought = response.output[0]
        assert thought.type == "reasoning"
        assert thought.encrypted_content is None
        final = await ours.openai.responses.create(
            input=[user("Hello"), *as_input(response), user("Really?")], **asked
        )
        assert final.output_text == "No."
        assert "unsigned_thinking_dropped" in ours.service.records[1]["rules"]


@feature("responses", "Images")
async def test_images(connect_chat: Connect) -> None:
    data = base64.b64encode(png()).decode()
    async with connect_chat(Turn(text="Red.")) as ours:
        response = await ours.openai.responses.create(
            model=MODEL,
            input=[
                user(
                    [
                        {"type": "input_text", "text": "Which colour?"},
                        {
                            "type": "input_image",
                            "image_url": f"data:image/png;base64,{data}",
                            "detail": "high",
                        },
                    ]
                )
            ],
        )
        assert response.output_text == "Red."
        assert data.encode() in ours.workspace.requests[0].raw


async def test_images_in_results_follow_them(connect_chat: Connect) -> None:
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    async with connect_chat(Turn(text="Red.")) as ours:
        call = {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{}"}
        output = [{"type": "input_text", "text": "Here:"}, {"type": "input_image", "image_url": url}]
        result = {"type": "function_call_output", "call_id": "call_1", "output": output}
        items: Any = [user("Look."), call, result]
        response = await ours.openai.responses.create(model=MODEL, tools=[READ], input=items)
        assert response.output_text == "Red."
        roles = [message["role"] for message in ours.workspace.requests[0].body["messages"]]
        assert roles == ["user", "assistant", "tool", "user"]


@feature("responses", "PDF documents")
async def test_documents(connect_chat: Connect) -> None:
    data = base64.b64encode(pdf("text")).decode()
    async with connect_chat(Turn(text="A page.")) as ours:
        response = await ours.openai.responses.create(
            model=MODEL,
            input=[
                user(
                    [
                        {
                            "type": "input_file",
                            "filename": "a.pdf",
                            "file_data": f"data:application/pdf;base64,{data}",
                        },
                        {"type": "input_text", "text": "What is it?"},
                    ]
                )
            ],
        )
        assert response.output_text == "A page."
        assert data.encode() in ours.workspace.requests[0].raw


class Answer(BaseModel):
    colour: str
    count: int


@feature("responses", "Structured output", "asked for in words: Claude takes no `response_format`")
async def test_structured_output(connect_chat: Connect) -> None:
    said = json.dumps({"colour": "red", "count": 3})
    async with connect_chat(Turn(text=said), Turn(text=said)) as ours:
        response = await ours.openai.responses.parse(model=MODEL, input="Which?", text_format=Answer)
        assert response.output_parsed == Answer(colour="red", count=3)
        assert b"colour" in ours.workspace.requests[0].raw
        async with ours.openai.responses.stream(model=MODEL, input="Which?", text_format=Answer) as stream:
            final = await stream.get_final_response()
        assert final.output_parsed == Answer(colour="red", count=3)


@feature("responses", "Tools with typed arguments", "`openai.pydantic_function_tool`")
async def test_typed_tools(connect_chat: Connect) -> None:
    async with connect_chat(Turn(tools=[ToolCall("Answer", {"colour": "red", "count": 3})])) as ours:
        tool: Any = openai.pydantic_function_tool(Answer)
        response = await ours.openai.responses.parse(model=MODEL, input="Which?", tools=[tool])
        (call,) = response.output
        assert call.type == "function_call"
        assert call.parsed_arguments == Answer(colour="red", count=3)


@feature("responses", "A token limit", "`incomplete`, with the reason")
async def test_incomplete(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="word " * 50, stop="length"), Turn(text="a b", stop="length")) as ours:
        response = await ours.openai.responses.create(model=MODEL, input="Hello", max_output_tokens=20)
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"
        stream = await ours.openai.responses.create(model=MODEL, input="Hello", stream=True)
        assert [event.type async for event in stream][-1] == "response.incomplete"


@feature("responses", "Model names with dates")
async def test_dated_name(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="Yes.")) as ours:
        response = await ours.openai.responses.create(model="claude-haiku-4-5-20251001", input="Hello")
        assert response.model == "claude-haiku-4-5-20251001"
        assert ours.service.records[0]["upstream_model"] == MODELS[1]


@feature("responses", "Request ids")
async def test_request_ids(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="a")) as ours:
        response = await ours.openai.responses.create(model=MODEL, input="Hello")
        assert [record["request_id"] for record in ours.service.records] == [response._request_id]


@feature("responses", "Raw response")
async def test_raw_response(connect_chat: Connect) -> None:
    async with connect_chat(Turn(text="a")) as ours:
        raw = await ours.openai.responses.with_raw_response.create(model=MODEL, input="Hello")
        assert raw.headers["content-type"] == "application/json"
        assert raw.parse().output_text == "a"
