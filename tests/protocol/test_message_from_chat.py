from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from anthropic.types import Message as ClientMessage

from ccr.errors import UpstreamError
from ccr.protocol.message_from_chat import Message, message_from_chat
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from tests.protocol.message_oracle import Json


def converted(message: Json, finish_reason: str | None = "stop", **more: Any) -> Message:
    options = {key: more.pop(key) for key in ("tool_ids", "json_tool") if key in more}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], **more}
    return message_from_chat(json.dumps(body).encode(), message_id="msg_1", model="claude-x", **options)


def tool_call(arguments: str, tool_id: str = "toolu_a", name: str = "T") -> Json:
    return {"id": tool_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_whole_message() -> None:
    message = converted(
        {
            "role": "assistant",
            "content": [
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "Hm", "signature": "sig"}],
                },
                {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "enc"}]},
                {"type": "text", "text": "# Answer"},
                {"type": "text", "text": " é"},
            ],
            "tool_calls": [tool_call('{"file_path":"/a"}'), tool_call("{}")],
        },
        "tool_calls",
        usage={"prompt_tokens": 210, "completion_tokens": 96, "cache_read_input_tokens": 180},
    )
    body = json.loads(message.encode())
    assert body == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "enc"},
            {"type": "text", "text": "# Answer é"},
            {"type": "tool_use", "id": "toolu_a", "name": "T", "input": {"file_path": "/a"}},
            {"type": "tool_use", "id": "toolu_1_1", "name": "T", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 30,
            "output_tokens": 96,
            "cache_read_input_tokens": 180,
            "cache_creation_input_tokens": 0,
        },
    }
    assert message.usage == Usage(30, 96, 180, 0)
    assert message.rules == ("tool_call_id_replaced",)
    assert ClientMessage.model_validate(body).content[3].type == "tool_use"


def test_numbers_and_the_order_of_keys_are_kept() -> None:
    arguments = '{"z": 12345678901234567890123, "a": 1.50, "m": {"y": 1e400, "b": "\\u00e9"}}'
    assert arguments.encode() in converted({"tool_calls": [tool_call(f" {arguments}\n")]}).encode()


@pytest.mark.parametrize(
    ("arguments", "tool_input"),
    [
        ("", {}),
        ("{}", {}),
        ("null", {}),
        ('{"a": "\\ud83d"}', {"a": "\ud83d"}),
        ('{"a": 1', {"__unparsedToolInput": {"raw": '{"a": 1', "len": 7}}),
        ("[1]", {"__unparsedToolInput": {"raw": "[1]", "len": 3}}),
        ('"🌍"', {"__unparsedToolInput": {"raw": '"🌍"', "len": 4}}),
    ],
)
def test_input_of_a_tool(arguments: str, tool_input: Json) -> None:
    body = json.loads(converted({"tool_calls": [tool_call(arguments)]}).encode())
    assert body["content"][0]["input"] == tool_input


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": None}, []),
        ({"content": ""}, []),
        ({}, []),
        ({"content": "x"}, [{"type": "text", "text": "x"}]),
        (
            {"content": "x", "reasoning_content": "r"},
            [{"type": "thinking", "thinking": "r", "signature": ""}, {"type": "text", "text": "x"}],
        ),
        ({"content": None, "refusal": "no"}, [{"type": "text", "text": "no"}]),
    ],
)
def test_content(message: Json, content: list[Json]) -> None:
    result = converted(message)
    assert result.content == content
    assert (result.stop_reason, result.usage) == ("end_turn", None)


def test_calls_of_a_whole_message_are_never_merged() -> None:
    calls: list[Json] = [
        {"index": 0, "function": {"name": "T", "arguments": a}} for a in ("", "{}", '{"a":1}')
    ]
    assert [block["id"] for block in converted({"tool_calls": calls}).content] == [
        "toolu_1_0",
        "toolu_1_1",
        "toolu_1_2",
    ]


def test_several_choices_are_one_message() -> None:
    body = {
        "choices": [
            {"message": {"content": "a"}, "finish_reason": "tool_calls"},
            {"message": {"tool_calls": [tool_call("{}")]}, "finish_reason": None},
            {"delta": {"content": "b"}},
            {},
        ]
    }
    message = message_from_chat(json.dumps(body).encode(), message_id="msg_1", model="m")
    assert [block["type"] for block in message.content] == ["text", "tool_use", "text"]
    assert message.stop_reason == "tool_use"


def test_the_json_tool_is_the_text() -> None:
    message = converted(
        {"tool_calls": [tool_call('{"title": "x"}', name="answer")]}, "tool_calls", json_tool="answer"
    )
    assert message.content == [{"type": "text", "text": '{"title": "x"}'}]
    assert message.stop_reason == "end_turn"


def test_a_call_that_names_its_tool_in_its_arguments_is_one_of_that_tool() -> None:
    wrapped = tool_call('{"name": "Read", "x": 1.10}', name="databricks-tool-call")
    message = converted({"tool_calls": [wrapped, tool_call("{}", "toolu_b")]}, "stop")
    assert [(block["name"], bytes(block["input"])) for block in message.content] == [
        ("Read", b'{"x":1.10}'),
        ("T", b"{}"),
    ]
    assert (message.stop_reason, message.rules) == ("tool_use", ("tool_call_unwrapped",))


def test_ids_of_the_history_are_not_used_again() -> None:
    message = converted({"tool_calls": [tool_call("{}")]}, tool_ids=frozenset({"toolu_a"}))
    assert message.content[0]["id"] == "toolu_1_0"


def test_rules() -> None:
    assert converted({"content": "x"}, "weird").rules == ("finish_reason_unknown",)
    assert converted({"tool_calls": [tool_call("{")]}).rules == ("arguments_invalid",)
    assert converted({"tool_calls": [tool_call("{")]}, "length").rules == ()
    repaired = b'{"choices": [{"message": {"content": "\\ud800"}, "finish_reason": "stop"}]}'
    assert message_from_chat(repaired, message_id="m", model="m").rules == ("half_surrogate_replaced",)


FAILURES = {
    "an error": (b'{"error": {"message": "Overloaded", "type": "overloaded_error"}}', 529, "Overloaded"),
    "an error of Databricks": (b'{"error_code": "INTERNAL_ERROR", "message": "boom"}', 500, "boom"),
    "an error without a kind": (b'{"error": "boom"}', 502, "boom"),
    "a web page": (b"<!DOCTYPE html><html><title>Sign in</title></html>", 502, r"a web page \(Sign in\)"),
    "nothing": (b"", 502, "with nothing"),
    "JSON that is cut": (b'{"choices": [', 502, "JSON that cannot be read"),
    "another shape": (b'{"choices": {}}', 502, "shape"),
    "text": (b"upstream connect error", 502, "upstream connect error"),
    "no choices": (b'{"object": "chat.completion"}', 502, "no finish_reason"),
    "no finish_reason": (b'{"choices": [{"message": {"content": "x"}}]}', 502, "no finish_reason"),
    "a call without a name": (
        b'{"choices": [{"message": {"function_call": {"arguments": {"a": 1}}}, "finish_reason": "stop"}]}',
        502,
        "without the name",
    ),
}


@pytest.mark.parametrize(("data", "status", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_what_is_no_completion_is_an_error(data: bytes, status: int, message: str) -> None:
    with pytest.raises(UpstreamError, match=message) as raised:
        message_from_chat(data, message_id="msg_1", model="m", provider="databricks")
    assert raised.value.status == status
    assert "databricks" in raised.value.message
