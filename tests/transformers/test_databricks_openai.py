"""What OpenAI's clients write into a conversation, each alone, then as the strict workspace checks it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.protocol.openai import decode_chat_request, encode_chat_request
from ccr.sandbox.checks import problem_of_chat_request
from ccr.sandbox.models import rules_of
from ccr.transformers.base import Context
from ccr.transformers.databricks import DatabricksCustom
from ccr.transformers.databricks_openai import (
    MESSAGE_FIELDS,
    PARAMETERS,
    empty_messages_mended,
    foreign_fields_removed,
    system_messages_folded,
)

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest

Json = dict[str, Any]
MODEL = "databricks-claude-sonnet-4-5"
USER: Json = {"role": "user", "content": "hi"}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING: Json = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Json = {"role": "tool", "tool_call_id": "c1", "content": "done"}
FUNCTION: Json = {"name": "f", "parameters": {"type": "object", "properties": {}}}


def chat(*messages: Json, **keys: Any) -> ChatRequest:
    """A request as it is decoded from a client's body."""
    return decode_chat_request(json.dumps({"model": MODEL, "messages": list(messages), **keys}).encode())


def written(given: ChatRequest) -> Json:
    return cast("Json", json.loads(encode_chat_request(given)))


def system(text: str, role: str = "system") -> Json:
    return {"role": role, "content": text}


def reminder(text: str) -> Json:
    return {"role": "user", "content": f"<system-reminder>\n{text}\n</system-reminder>"}


@pytest.mark.parametrize("key", sorted(PARAMETERS))
@pytest.mark.parametrize("value", [1, "x", None, {"a": [2**70]}])
def test_parameters_of_openais_service_go(key: str, value: object) -> None:
    assert written(foreign_fields_removed(chat(USER, temperature=1, **{key: value}))) == written(
        chat(USER, temperature=1)
    )


def test_parameters_that_are_null_go() -> None:
    given = chat(USER, stop=None, tools=None, tool_choice="auto", top_k=3)
    assert written(foreign_fields_removed(given)) == {"model": MODEL, "messages": [USER], "top_k": 3}
    empty = chat(USER, tools=[], tool_choice="auto")
    assert written(foreign_fields_removed(empty)) == {"model": MODEL, "messages": [USER]}


def test_fields_of_messages_and_tools_go() -> None:
    extra = dict.fromkeys(MESSAGE_FIELDS, "x")
    tool = {"type": "function", "function": {**FUNCTION, "strict": True}}
    mine = {"type": "function", "function": FUNCTION}
    given = chat(
        {**USER, **extra}, {"role": "assistant", "content": "a", "tool_calls": []}, tools=[tool, mine]
    )
    assert written(foreign_fields_removed(given)) == {
        "model": MODEL,
        "messages": [USER, {"role": "assistant", "content": "a"}],
        "tools": [mine, mine],
    }


def test_a_tool_that_a_step_made_loses_strict_too() -> None:
    given = chat(USER)
    given["tools"] = cast(
        "Any", [{"type": "function", "function": {**FUNCTION, "strict": False}}, {"type": "x"}]
    )
    assert foreign_fields_removed(given)["tools"] == [
        {"type": "function", "function": FUNCTION},
        {"type": "x"},
    ]


@pytest.mark.parametrize(
    ("messages", "folded"),
    [
        ([system("a", "developer"), USER], [system("a"), USER]),
        (
            [system("a"), system("b", "developer"), USER],
            [
                {
                    "role": "system",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
                USER,
            ],
        ),
        ([system("a"), USER, system("b")], [system("a"), USER, reminder("b")]),
        ([USER, system("b", "developer"), USER], [USER, reminder("b"), USER]),
        (
            [USER, CALLING, system("b"), RESULT, system("c"), USER],
            [USER, CALLING, RESULT, reminder("b"), reminder("c"), USER],
        ),
        (
            [USER, {"role": "system", "content": [{"type": "text", "text": t} for t in "ab"]}],
            [USER, reminder("a\nb")],
        ),
        ([USER, system(""), {"role": "system", "content": None}], [USER]),
        ([{"role": "developer", "content": None}, USER], [USER]),
    ],
)
def test_system_messages(messages: list[Json], folded: list[Json]) -> None:
    assert written(system_messages_folded(chat(*messages)))["messages"] == folded


@pytest.mark.parametrize(
    ("messages", "mended"),
    [
        ([USER, {"role": "assistant", "content": None}, USER], [USER, USER]),
        ([{"role": "user", "content": None}], [{"role": "user", "content": None}]),
        ([USER, CALLING, {**RESULT, "content": None}], [USER, CALLING, {**RESULT, "content": "(no output)"}]),
    ],
)
def test_messages_of_nothing(messages: list[Json], mended: list[Json]) -> None:
    assert written(empty_messages_mended(chat(*messages)))["messages"] == mended


@pytest.mark.parametrize("arguments", ["", " ", "null", None])
def test_arguments_of_nothing(arguments: object) -> None:
    function = {"name": "f", "arguments": arguments}
    given = chat(USER, {**CALLING, "tool_calls": [CALL, {**CALL, "function": function}]}, RESULT)
    assert written(empty_messages_mended(given))["messages"][1] == {**CALLING, "tool_calls": [CALL, CALL]}


@pytest.mark.parametrize("call", [{}, {"function": {"name": "f"}}, {"function": {"arguments": {"a": 1}}}])
def test_calls_that_a_step_made(call: Json) -> None:
    given = chat(USER, CALLING)
    given["messages"][1]["tool_calls"] = cast("Any", [call])
    (mended,) = empty_messages_mended(given)["messages"][1]["tool_calls"]
    is_filled = call.get("function") == {"name": "f"}
    assert mended == ({"function": {"name": "f", "arguments": "{}"}} if is_filled else call)


@pytest.mark.parametrize("change", [foreign_fields_removed, system_messages_folded, empty_messages_mended])
def test_nothing_to_do_is_nothing_done(change: Any) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    given = chat(system("a"), USER, CALLING, RESULT, USER, tools=tools, tool_choice="auto", max_tokens=5)
    assert change(given) is given


@pytest.mark.parametrize(
    "body",
    [
        {"user": "x", "seed": 3, "store": False, "metadata": {}, "stream_options": {}, "n": 1},
        {"reasoning_effort": "low", "parallel_tool_calls": False, "logprobs": None},
        {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}], "tool_choice": "auto"},
        {"messages": [system("a", "developer"), {**USER, "name": "bob"}, system(""), system("b")]},
        {"messages": [USER, {**CALLING, "content": "", "refusal": None}, {**RESULT, "content": ""}]},
    ],
)
def test_the_endpoint_takes_what_is_left(body: Json) -> None:
    keys = {"messages": [USER], **body}
    given = chat(*keys.pop("messages"), **keys)
    before = copy.deepcopy(given)
    step = DatabricksCustom({})
    mended = step.request(given, Context(provider="p", model=MODEL))
    assert problem_of_chat_request(written(mended), rules_of(MODEL)) is None
    assert given == before
    assert step.request(mended, Context(provider="p", model=MODEL)) is mended


def test_requests_that_ccr_wrote_are_not_looked_through() -> None:
    given = chat(USER, seed=1)
    assert DatabricksCustom({}).request(given, Context(provider="p", model=MODEL, is_converted=True)) is given
