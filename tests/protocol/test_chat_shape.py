"""Types in chat requests: a wrong one is refused with its key, everything else is the upstream's to judge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.errors import RequestError
from ccr.protocol.chat_shape import check_chat_shape, decode_client_chat_request

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(**changes: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER], **changes}).encode()


def of_message(**changes: Any) -> bytes:
    return body(messages=[{"role": "user", **changes}])


def of_part(**changes: Any) -> bytes:
    return of_message(content=[changes])


def of_call(**changes: Any) -> bytes:
    return of_message(role="assistant", tool_calls=[{**CALL, **changes}])


def of_tool(**changes: Any) -> bytes:
    return body(tools=[{"type": "function", **changes}])


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (of_message(name=1), "messages.0.name: Input should be a valid string"),
        (of_message(tool_call_id=1), "messages.0.tool_call_id: "),
        (of_message(refusal=[]), "messages.0.refusal: "),
        (of_message(function_call="f"), "messages.0.function_call: "),
        (of_part(), "messages.0.content.0.type: Field required"),
        (of_part(type=1), "messages.0.content.0.type: Input should be a valid string, got integer"),
        (of_part(type="text", text=1), "messages.0.content.0.text: "),
        (of_part(type="text", text=None), "messages.0.content.0.text: Field required"),
        (of_part(type="text"), "messages.0.content.0.text: Field required"),
        (of_part(type="image_url", image_url=1), "messages.0.content.0.image_url: "),
        (of_part(type="image_url", image_url={}), "messages.0.content.0.image_url.url: Field required"),
        (of_part(type="image_url", image_url={"url": 1}), "messages.0.content.0.image_url.url: "),
        (of_part(type="file", file="f"), "messages.0.content.0.file: "),
        (of_part(type="reasoning", summary="s"), "messages.0.content.0.summary: "),
        (of_call(id=1), "messages.0.tool_calls.0.id: "),
        (of_call(function="f"), "messages.0.tool_calls.0.function: "),
        (of_call(function={"name": 1}), "messages.0.tool_calls.0.function.name: "),
        (
            of_call(function={"name": "f", "arguments": {}}),
            "messages.0.tool_calls.0.function.arguments: Input should be a valid string, got object",
        ),
        (of_tool(function="f"), "tools.0.function: "),
        (of_tool(function={}), "tools.0.function.name: Field required"),
        (of_tool(function={"name": 1}), "tools.0.function.name: "),
        (of_tool(function={"name": "f", "description": 1}), "tools.0.function.description: "),
        (of_tool(function={"name": "f", "parameters": "p"}), "tools.0.function.parameters: "),
        (body(tool_choice=1), "tool_choice: "),
        (body(functions="f"), "functions: "),
        (body(parallel_tool_calls="no"), "parallel_tool_calls: Input should be a valid boolean, got string"),
        (body(stream="true"), "stream: "),
        (body(stream_options=True), "stream_options: "),
        (body(max_tokens="9"), "max_tokens: Input should be a valid integer, got string"),
        (body(max_tokens=1.5), "max_tokens: "),
        (body(max_tokens=0), "max_tokens: must be greater than or equal to 1"),
        (body(max_completion_tokens=-1), "max_completion_tokens: must be greater than or equal to 1"),
        (body(max_completion_tokens=[]), "max_completion_tokens: "),
        (body(temperature="0"), "temperature: "),
        (body(top_p={}), "top_p: "),
        (body(stop=1), "stop: "),
        (body(stop=["a", 1]), "stop.1: "),
        (body(n="1"), "n: "),
        (body(seed="1"), "seed: "),
        (body(response_format="json"), "response_format: "),
        (body(reasoning_effort=1), "reasoning_effort: "),
        (body(thinking="enabled"), "thinking: "),
        (body(metadata=[]), "metadata: "),
        (body(user=1), "user: "),
        (body(logit_bias=[]), "logit_bias: "),
    ],
)
def test_a_wrong_type_is_refused_with_its_key(data: bytes, where: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_client_chat_request(data)
    assert caught.value.message.startswith(where)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "data",
    [
        body(),
        body(temperature=1, top_p=0.5, seed=123456789012345678901234567890, stop="x", n=None),
        body(tool_choice={"type": "function", "function": {"name": "f"}}, stop=["a"], stream_options=None),
        body(tools=[{"type": "web_search"}, {"type": "custom", "custom": {"name": "c"}}]),
        body(unknown={"a": [1, {"b": None}]}, functions=[{"name": "f"}], function_call="auto"),
        of_message(role="someone", content=None, name=None, tool_calls=None, unknown=1),
        of_message(content=[{"type": "text", "text": ""}, {"type": "video", "video_url": 1}]),
        of_message(content=[{"type": "image_url", "image_url": "data:image/png;base64,AA=="}]),
        of_message(content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}]),
        of_call(function={"name": "f", "arguments": "not json"}),
        of_call(id=None, type=None, function=None),
        of_tool(function={"name": "f", "parameters": None, "strict": None}),
        b'{"model":"m","messages":[{"role":"user"}],"tools":[{"function":{"name":"f","parameters":{"a":1e400}}}]}',
    ],
)
def test_what_is_missing_unknown_or_null_is_not_judged_here(data: bytes) -> None:
    check_chat_shape(data)
