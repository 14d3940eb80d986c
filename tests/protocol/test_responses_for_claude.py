"""What Claude refuses of a Responses request, anywhere and on Databricks alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.protocol.chat_requests import GPT, PLAIN_CLAUDE
from tests.protocol.responses_requests import Json, for_model

CLAUDE = msgspec.structs.replace(PLAIN_CLAUDE, takes_cache_control=False)
ELSEWHERE: Json = {"is_workspace": False}
HI = {"role": "user", "content": "hello"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
READ = {"type": "function", "name": "read", "parameters": SCHEMA, "strict": True}


def said(*texts: str) -> Json:
    return {"role": "user", "content": [{"type": "input_text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("item", "content", "rules"),
    [
        (said("a", " ", "b"), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], True),
        (said("a", "b"), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], False),
        (said("a", ""), [{"type": "text", "text": "a"}], True),
    ],
)
def test_blank_texts(item: Json, content: Any, *, rules: bool) -> None:
    found = for_model(CLAUDE, ELSEWHERE, input=[item], max_output_tokens=9)
    assert found.messages == [{"role": "user", "content": content}]
    assert found.rules == (("empty_text_dropped",) if rules else ())


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("{not json", {"__unparsedToolInput": {"raw": "{not json", "len": 9}}),
        ("[1]", {"__unparsedToolInput": {"raw": "[1]", "len": 3}}),
    ],
)
def test_arguments_of_earlier_calls(arguments: str, sent: Json) -> None:
    call = {"type": "function_call", "name": "read", "arguments": arguments}
    items: list[Json] = [HI]
    items += [{**call, "call_id": "c1"}, {**call, "call_id": "c2", "arguments": "{}"}]
    items += [{"type": "function_call_output", "call_id": each, "output": "x"} for each in ("c1", "c2")]
    found = for_model(CLAUDE, input=items, max_output_tokens=9)
    first, second = found.messages[1]["tool_calls"]
    assert json.loads(first["function"]["arguments"]) == sent
    assert second["function"]["arguments"] == "{}"
    assert found.rules == (() if arguments == '{"a": 1}' else ("arguments_replaced",))
    other = for_model(GPT, input=items)
    assert other.messages[1]["tool_calls"][0]["function"]["arguments"] == arguments


FOREIGN: Json = {
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "service_tier": "flex",
    "text": {"verbosity": "low"},
}


def test_parameters_of_openais_own_service() -> None:
    found = for_model(CLAUDE, max_output_tokens=9, **FOREIGN)
    assert set(found.chat) == {"model", "messages", "max_tokens"}
    assert found.rules == ("openai_parameters_dropped",)
    for traits, options in ((CLAUDE, ELSEWHERE), (GPT, None)):
        others = for_model(traits, options, max_output_tokens=9, **FOREIGN)
        assert set(others.chat) == {"model", "messages", "max_tokens", "verbosity", *FOREIGN} - {"text"}
        assert others.rules == ()


@pytest.mark.parametrize("instructions", [None, "Be kind."])
@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"type": "json_object"}, "no code fence."),
        ({"type": "json_schema", "name": "a", "schema": SCHEMA}, json.dumps(SCHEMA)),
    ],
)
def test_the_form_of_the_answer_is_told(form: Json, told: str, instructions: str | None) -> None:
    found = for_model(CLAUDE, text={"format": form}, instructions=instructions, max_output_tokens=9)
    assert found.messages[0]["role"] == "system"
    assert found.messages[0]["content"].endswith(told)
    assert found.messages[0]["content"].startswith(instructions or "Your final answer must be one JSON")
    assert "response_format" not in found.chat
    assert found.rules == ("json_format_as_instruction",)
    assert "response_format" in for_model(CLAUDE, ELSEWHERE, text={"format": form}).chat


def test_strict_functions() -> None:
    found = for_model(CLAUDE, tools=[READ], max_output_tokens=9)
    assert found.chat["tools"] == [{"type": "function", "function": {"name": "read", "parameters": SCHEMA}}]
    assert found.rules == ("tool_strict_dropped",)
    assert for_model(CLAUDE, ELSEWHERE, tools=[READ]).chat["tools"][0]["function"]["strict"] is True


@pytest.mark.parametrize("content", ["Mind the gap.", [{"type": "input_text", "text": "Mind the gap."}]])
def test_a_later_system_message_is_a_reminder(content: Any) -> None:
    items = [HI, {"role": "developer", "content": content}, HI]
    found = for_model(CLAUDE, input=items, max_output_tokens=9)
    reminder = "<system-reminder>\nMind the gap.\n</system-reminder>"
    assert found.messages == [HI, {"role": "user", "content": reminder}, HI]
    assert found.rules == ("system_message_folded",)
    assert for_model(CLAUDE, ELSEWHERE, input=items).messages[1]["role"] == "system"


def test_parts_of_a_later_system_message_are_joined() -> None:
    items = [HI, {**said("a", "b"), "role": "system"}]
    found = for_model(CLAUDE, input=items)
    assert found.messages[1]["content"] == "<system-reminder>\na\n\nb\n</system-reminder>"
