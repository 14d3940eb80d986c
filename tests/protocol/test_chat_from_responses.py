"""A request of the Responses API as a chat request: parameters, system message, form of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.openai import encode_chat_request
from tests.protocol.responses_requests import conversion_of, converted, refusal_of

HI = {"role": "user", "content": "hello"}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
        (
            {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
            {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
        ),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"service_tier": "auto", "user": None}, {}),
    ],
)
def test_parameters(body: dict[str, Any], sent: dict[str, Any]) -> None:
    found = converted(**body)
    assert found.chat == {"model": "m", "messages": [HI], **sent}
    assert found.rules == ()


def test_a_schema_stays_as_it_is_written() -> None:
    form = {
        "type": "json_schema",
        "name": "answer",
        "description": None,
        "schema": {"type": "object", "properties": {"z": {"const": 2**70}, "a": {}}},
        "strict": True,
    }
    data = encode_chat_request(conversion_of(text={"format": form}).chat)
    assert json.dumps(form["schema"]).encode() in data
    described = json.loads(data)["response_format"]
    assert described == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": form["schema"], "strict": True},
    }


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, "text.format.type"),
        ({"type": "grammar"}, "text.format.type"),
        ({"type": 3}, "text.format.type"),
        ({"type": "json_schema", "schema": {}}, "text.format.name"),
        ({"type": "json_schema", "name": "x"}, "text.format.schema"),
        ({"type": "json_schema", "name": "x", "schema": None}, "text.format.schema"),
    ],
)
def test_forms_that_are_none(form: Any, param: str) -> None:
    assert refusal_of(text={"format": form}).param == param


def test_one_system_message_of_all_that_comes_first() -> None:
    given = [{"role": "developer", "content": "b"}, {"role": "system", "content": []}, HI]
    found = converted(instructions="a", input=given, tools=[{"type": "web_search"}])
    first, second = found.messages
    assert first["role"] == "system"
    assert first["content"].startswith("a\n\nb\n\nThese tools are not available")
    assert second == HI


def test_parts_of_a_system_message_are_joined() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    found = converted(instructions="", input=[{"role": "developer", "content": parts}, HI])
    assert found.messages == [{"role": "system", "content": "a\n\nb"}, HI]


def test_nothing_to_say_is_no_system_message() -> None:
    found = converted(input=[{"role": "developer", "content": []}, HI])
    assert found.messages == [HI]


def test_the_ids_of_all_calls_are_known() -> None:
    items = [
        HI,
        {"type": "function_call", "call_id": "c1", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
    ]
    assert conversion_of(input=items).tool_ids == {"c1"}
