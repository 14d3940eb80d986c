"""Ids of tool calls and the finish_reason: groq, openrouter, vercel; Claude's signatures by OpenRouter."""

from __future__ import annotations

import pytest

from ccr.config.model import Step
from ccr.transformers.base import Context
from ccr.transformers.registry import build
from tests.transformers.answers import (
    CONTEXT,
    USAGE,
    USAGE_CHUNK,
    blocks_of_completion,
    blocks_of_stream,
    call,
    chunk,
    completed,
    completion,
    through,
    whole_call,
)
from tests.transformers.requests import TOOL, Json, chat, sent

CLAUDE = Context(provider="p", model="anthropic/claude-sonnet-4.5", is_stream=True, request_id="req_1")


@pytest.mark.parametrize(
    ("name", "finish_reason"), [("groq", "stop"), ("openrouter", "tool_calls"), ("vercel", "tool_calls")]
)
def test_numbers_and_missing_ids_are_replaced(name: str, finish_reason: str) -> None:
    chunks = [
        chunk({"reasoning": "deep"}),
        chunk(call(0, '{"a"', id="0", name="f")),
        chunk(call(0, ":1}", id="0")),
        chunk(call(1, "{", name="g")),
        chunk(call(1, "}")),
        chunk(call(2, "{}", id="call_x", name="h")),
        chunk(call(3, "{}", id=7, name="h")),
        chunk({"tool_calls": [1]}),
        chunk({}, "stop", usage=USAGE),
        USAGE_CHUNK,
    ]
    made = through(build(Step(name=name)), chunks)
    fragments = [each["choices"][0]["delta"]["tool_calls"][0] for each in made[1:7]]
    assert [fragment.get("id") for fragment in fragments] == [
        "call_req1_0",
        "call_req1_0",
        "call_req1_1",
        None,
        "call_x",
        "call_req1_2",
    ]
    assert made[-2] == chunk({}, finish_reason, usage=USAGE)
    assert (made[0], made[-1]) == (chunks[0], USAGE_CHUNK)
    assert [block["type"] for block in blocks_of_stream(made[:7] + made[-2:])] == [
        "thinking",
        *["tool_use"] * 4,
    ]


@pytest.mark.parametrize("name", ["groq", "openrouter", "vercel"])
def test_usable_streams_stay(name: str) -> None:
    chunks = [
        chunk({"content": "a"}),
        chunk(call(0, "{}", id="call_1", name="f"), "tool_calls"),
        chunk({}, "stop", index=1),
    ]
    assert through(build(Step(name=name)), chunks) == chunks


def test_choices_and_calls_without_index_have_ids_of_their_own() -> None:
    choices = [
        {"index": index, "delta": call(None, "{}", name="f"), "finish_reason": None} for index in (0, 1)
    ]
    step, unnamed = build(Step(name="groq")), Context(provider="p", model="m")
    first, second = through(step, [{"choices": choices}, {"choices": choices}], unnamed)
    ids = [each["delta"]["tool_calls"][0]["id"] for made in (first, second) for each in made["choices"]]
    assert ids == ["call_0_0", "call_0_1_0", "call_0_1", "call_0_1_1"]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("name", "ends"), [("groq", "stop"), ("openrouter", "tool_calls"), ("vercel", "tool_calls")]
)
def test_whole_answers(name: str, ends: str) -> None:
    calls = [whole_call("{}", call_id="1"), whole_call("{}", call_id=None), whole_call("{}", call_id="x"), 1]
    made = completed(build(Step(name=name)), completion({"content": "a", "tool_calls": calls}), CONTEXT)
    message = made["choices"][0]["message"]
    assert [each["id"] for each in message["tool_calls"][:3]] == ["call_req1_0", "call_req1_1", "x"]
    assert (message["tool_calls"][3], made["choices"][0]["finish_reason"]) == (1, ends)


@pytest.mark.parametrize("name", ["groq", "openrouter"])
@pytest.mark.parametrize("answer", [{"choices": None}, {"choices": [1, {"message": {"content": "a"}}]}])
def test_other_answers_stay(name: str, answer: Json) -> None:
    assert completed(build(Step(name=name)), answer, CLAUDE) == answer


def test_groq_takes_the_dialect_off_schemas() -> None:
    schema = {"$schema": "x", "type": "object", "properties": {"$schema": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}, "cache_control": None}
    step = build(Step(name="groq"))
    made = sent(
        step, chat(tools=[tool, TOOL, {"type": "function", "function": {"name": "g"}}, {"type": "x"}])
    )
    assert made["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"$schema": {"type": "string"}},
    }
    assert made["tools"][1:] == [TOOL, {"type": "function", "function": {"name": "g"}}, {"type": "x"}]
    assert "cache_control" not in made["tools"][0]
    strange = {"type": "function", "function": {"name": "g", "parameters": [1]}}
    assert sent(step, chat(tools=[strange]))["tools"] == [strange]


def detail(text: str | None = None, **more: object) -> Json:
    return {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": text, **more}


def test_claudes_signatures_come_through_openrouter() -> None:
    chunks = [
        chunk({"reasoning": "de", "reasoning_details": [detail("de")]}),
        chunk({"reasoning": "ep", "reasoning_details": [detail("ep")]}),
        chunk({"reasoning": None, "reasoning_details": [detail(None, signature="sig")]}),
        chunk({"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz"}]}),
        chunk({"content": "answer"}, "stop"),
    ]
    step = build(Step(name="openrouter"))
    blocks = [
        {"type": "thinking", "thinking": "deep", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "answer"},
    ]
    assert blocks_of_stream(through(step, chunks, CLAUDE)) == blocks
    details = [detail("deep", signature="sig")]
    whole = completion({"reasoning": "deep", "reasoning_details": details, "content": "answer"})
    assert blocks_of_completion(completed(step, whole, CLAUDE)) == [blocks[0], blocks[2]]
    unsaid = completion({"reasoning_details": [*details, 1], "content": "answer"})
    assert blocks_of_completion(completed(step, unsaid, CLAUDE)) == [blocks[0], blocks[2]]
    unsigned = completion({"reasoning_details": [detail("deep")], "content": "answer"})
    assert blocks_of_completion(completed(step, unsigned, CLAUDE))[0]["thinking"] == "deep"


def test_text_beside_a_signature_is_not_lost() -> None:
    chunks = [
        chunk({"reasoning": "de", "reasoning_details": [detail("de")]}),
        chunk({"reasoning": "ep", "reasoning_details": [detail("ep", signature="sig")]}, "stop"),
    ]
    made = through(build(Step(name="openrouter")), chunks, CLAUDE)
    assert blocks_of_stream(made) == [{"type": "thinking", "thinking": "deep", "signature": "sig"}]
