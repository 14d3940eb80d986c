"""Rounds of an answer: what is next, the request that goes on, the whole messages as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ccr.errors import UpstreamError
from ccr.protocol.image_rounds import (
    Iteration,
    JoinedMessage,
    Result,
    Round,
    ToolCall,
    continued,
    results_as_text,
    round_of,
    string_of,
    sum_of,
    usage_with,
)
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from ccr.protocol.native_json import JsonObject

TOOL = "analyzeImage"
TEXT: dict[str, Any] = {"type": "text", "text": "look"}
THINKING: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "s"}
CALL: dict[str, Any] = {
    "type": "tool_use",
    "id": "t1",
    "name": TOOL,
    "input": {"imageId": ["1"], "task": "x"},
}
OWN: dict[str, Any] = {"type": "tool_use", "id": "t2", "name": "Read", "input": {}}


def block_of(value: dict[str, Any]) -> JsonObject:
    return {key: Raw(json.dumps(each).encode()) for key, each in value.items()}


def said(*blocks: dict[str, Any], stop: str | None = "tool_use") -> Round:
    return Round([block_of(block) for block in blocks], stop, Usage(), TOOL)


def message(*blocks: Any, **more: Any) -> bytes:
    return json.dumps(
        {"id": "m", "model": "c", "content": blocks, "stop_reason": "tool_use", **more}
    ).encode()


@pytest.mark.parametrize(
    ("round_", "following"),
    [
        (said(), "done"),
        (said(TEXT, stop="end_turn"), "done"),
        (said(TEXT, OWN), "done"),
        (said({"type": "text"}, {"type": "tool_use"}), "done"),
        (said(THINKING, TEXT, CALL), "again"),
        (said(CALL, CALL), "again"),
        (said(CALL, OWN), "as_text"),
        (said(OWN, CALL), "as_text"),
        (said(CALL, stop="max_tokens"), "cut"),
        (said(CALL, OWN, stop="max_tokens"), "cut"),
        (said(CALL, stop="end_turn"), "cut"),
        (said(CALL, stop=None), "cut"),
    ],
)
def test_what_is_next(round_: Round, following: str) -> None:
    assert round_.next == following


def test_the_calls() -> None:
    [first, second] = said(TEXT, CALL, OWN, {"type": "tool_use", "name": TOOL}).calls
    assert (first.id, json.loads(bytes(first.input))) == ("t1", CALL["input"])
    assert (second.id, bytes(second.input)) == ("", b"{}")


def test_the_request_that_goes_on() -> None:
    body = json.dumps({"model": "m", "big": 12345678901234567890123, "messages": [{"role": "user"}]}).encode()
    empty: list[dict[str, Any]] = [
        {"type": "text", "text": " "},
        {"type": "text"},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking"},
    ]
    kept = [THINKING, {"type": "thinking", "thinking": "", "signature": "only"}, TEXT, CALL]
    calls = [ToolCall("t1", Raw(b"{}")), ToolCall("t2", Raw(b"{}"))]
    results = [Result(calls[0], "red"), Result(calls[1], "no", is_error=True)]
    blocks = [block_of(block) for block in (*kept, *empty)]
    assert json.loads(continued(body, blocks, results)) == {
        "model": "m",
        "big": 12345678901234567890123,
        "messages": [
            {"role": "user"},
            {"role": "assistant", "content": kept},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "red"},
                    {"type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": True},
                ],
            },
        ],
    }


def test_results_as_a_text() -> None:
    call = ToolCall("t", Raw(b"{}"))
    assert results_as_text([Result(call, "red", title="Analysis of Image #1"), Result(call, "no")]) == (
        "[Analysis of Image #1]\nred\n\n[Image analysis]\nno"
    )


def test_strings() -> None:
    assert [string_of(each) for each in (None, Raw(b'"a"'), Raw(b"1"), Raw(b""))] == ["", "a", "", ""]


USAGES = st.builds(Usage, *[st.integers(0, 10**6)] * 4)
ITERATIONS = st.lists(st.builds(Iteration, USAGES, st.sampled_from(["", "", "seer"])), max_size=6)


@given(ITERATIONS)
def test_the_sum_is_that_of_the_conversations_own_model(iterations: list[Iteration]) -> None:
    usage = json.loads(bytes(usage_with(Raw(b'{"output_tokens":1,"service_tier":"x"}'), iterations)))
    own = [each for each in usage["iterations"] if each["type"] == "message"]
    others = [each for each in usage["iterations"] if each["type"] == "advisor_message"]
    assert len(own) + len(others) == len(iterations)
    assert all(each["model"] == "seer" for each in others)
    for key in Usage.__struct_fields__:
        assert usage[key] == sum(each[key] for each in own) == getattr(sum_of(iterations), key)
    assert usage["service_tier"] == "x"
    assert "service_tier" not in json.loads(bytes(usage_with(None, iterations)))


def test_whole_messages_become_one() -> None:
    joined = JoinedMessage(TOOL)
    first = message(THINKING, TEXT, CALL, usage={"input_tokens": 3, "output_tokens": None})
    last = message(TEXT, id="n", model="d", stop_reason="end_turn", usage={"output_tokens": 2, "x": 1})
    rounds = [round_of(data, TOOL) for data in (first, last)]
    assert [each.usage for each in rounds] == [Usage(3, 0), Usage(0, 2)]
    for data, each in zip((first, last), rounds, strict=True):
        joined.add(data, each)
    iterations = [Iteration(rounds[0].usage), Iteration(Usage(9, 9), "seer"), Iteration(rounds[1].usage)]
    whole = json.loads(joined.encode(iterations))
    assert whole.pop("usage").pop("iterations")
    assert whole == {"id": "m", "model": "c", "content": [THINKING, TEXT, TEXT], "stop_reason": "end_turn"}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([TEXT, CALL, OWN], ["look", "new", "Read"]),
        ([OWN, CALL, TEXT, OWN], ["new", "Read", "look", "Read"]),
        ([TEXT, CALL], ["look", "new"]),
    ],
)
def test_a_text_comes_before_what_the_client_has_to_do(blocks: list[Any], expected: list[str]) -> None:
    joined = JoinedMessage(TOOL)
    data = message(*blocks)
    joined.add(data, round_of(data, TOOL))
    joined.add_text("new")
    content = json.loads(joined.encode([]))["content"]
    assert [block.get("text") or block.get("name") for block in content] == expected


def test_nothing_was_added() -> None:
    assert json.loads(JoinedMessage(TOOL).encode([]))["content"] == []


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"content": 1}', b"<html>"])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamError, match="the answer is no message"):
        round_of(body, TOOL)
