"""Repairs of requests in the Messages API's own format: what is refused, what becomes of the bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.native_repairs import NativeSent, native_max_tokens_repair, native_repair_of
from ccr.protocol.repairs import Repair, RepairRule
from tests.protocol.repairable import WRAPPERS, databricks

Json = dict[str, Any]
EXTRA = "Extra inputs are not permitted"
MARK = {"type": "ephemeral", "ttl": "1h"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
HIDDEN = {"type": "redacted_thinking", "data": "xx"}
TEXT = {"type": "text", "text": "a", "foo": 1}
CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"foo": 1, "path": "a"}}
RESULT = {
    "type": "tool_result",
    "tool_use_id": "t1",
    "content": [{"type": "text", "text": "r", "foo": 2, "cache_control": MARK}],
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA", "foo": 3}}
TOOL = {
    "name": "Read",
    "description": "d",
    "input_schema": {"type": "object", "bar": 1},
    "bar": 2,
    "cache_control": MARK,
}
USER = {"role": "user", "content": "foo"}
IN_LOOP = [USER, {"role": "assistant", "content": [THOUGHT, CALL]}, {"role": "user", "content": [RESULT]}]
ENABLED = {"type": "enabled", "budget_tokens": 10_000}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def body(**keys: Any) -> Json:
    given = {"model": "m", "messages": [USER], "max_tokens": 32_000, "stream": True, **keys}
    return {key: value for key, value in given.items() if value is not None}


def sent(betas: str | None = None, **keys: Any) -> NativeSent:
    return NativeSent(json.dumps(body(**keys)).encode(), betas)


def repair_of(sentence: str, request: NativeSent, status: int = 400) -> Repair[NativeSent]:
    repair = native_repair_of(status, databricks(sentence), request)
    assert repair is not None
    return repair


def repaired(sentence: str, status: int = 400, **keys: Any) -> tuple[str, Json]:
    """Return the rule and the repaired body; the repair must not have changed what it was given."""
    request = sent(**keys)
    before = bytes(request.data)
    repair = repair_of(sentence, request, status)
    changed = repair.apply(request)
    assert request.data == before == json.dumps(body(**keys)).encode()
    assert repair.apply(changed) is changed, "a repair is done once"
    again = NativeSent(changed.data, None)
    assert repair.apply(again) is again
    return repair.rule, json.loads(changed.data)


FIELDS: list[tuple[str, Json, Json]] = [
    ("top_secret", {"top_secret": 1}, {}),
    ("tools.3.custom.bar", {"tools": [TOOL]}, {"tools": [{k: v for k, v in TOOL.items() if k != "bar"}]}),
    (
        "messages.0.content.1.foo",
        {"messages": [{"role": "user", "content": [TEXT, TEXT]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2}]},
    ),
    (
        "messages.2.content.0.tool_result.content.0.text.foo",
        {"messages": IN_LOOP},
        {
            "messages": [
                *IN_LOOP[:2],
                {
                    "role": "user",
                    "content": [
                        {**RESULT, "content": [{"type": "text", "text": "r", "cache_control": MARK}]}
                    ],
                },
            ]
        },
    ),
    (
        "messages.0.content.0.image.source.base64.foo",
        {"messages": [{"role": "user", "content": [TEXT, IMAGE]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        TEXT,
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
                        },
                    ],
                }
            ]
        },
    ),
    ("system.0.text.foo", {"system": [TEXT]}, {"system": [{"type": "text", "text": "a"}]}),
    ("thinking.adaptive.display", {"thinking": ADAPTIVE}, {"thinking": {"type": "adaptive"}}),
    ("metadata.user_id", {"metadata": {"user_id": "u"}}, {}),
    ("metadata", {"metadata": {"user_id": "u"}}, {}),
    ("output_config", {"output_config": {"effort": "low"}}, {}),
    (
        "tool_choice.auto.disable_parallel_tool_use",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "auto"}},
    ),
    (
        "tools.0.custom.cache_control.ephemeral.ttl",
        {"tools": [TOOL], "system": [{"type": "text", "text": "s", "cache_control": MARK}]},
        {
            "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        },
    ),
    (
        "system.0.cache_control",
        {"tools": [TOOL], "system": [{"type": "text", "text": "s", "cache_control": MARK}]},
        {
            "tools": [{k: v for k, v in TOOL.items() if k != "cache_control"}],
            "system": [{"type": "text", "text": "s"}],
        },
    ),
]


@pytest.mark.parametrize(("path", "given", "expected"), FIELDS, ids=[row[0] for row in FIELDS])
def test_refused_fields_are_taken_out_wherever_they_are(path: str, given: Json, expected: Json) -> None:
    rule, changed = repaired(f"{path}: {EXTRA}", **given)
    assert rule == "unknown_field_removed"
    assert changed == body(**{key: expected.get(key) for key in given})


def test_a_field_that_was_named_without_its_place_is_taken_from_everywhere() -> None:
    messages = [{"role": "user", "content": [TEXT]}]
    _, changed = repaired('json: unknown field "foo"', messages=messages, system=[TEXT])
    assert "foo" not in json.dumps(changed)


@pytest.mark.parametrize(
    "path",
    [
        "messages",
        "tools.0.custom.input_schema.bar",
        "messages.1.content.1.tool_use.input.foo",
        "messages.0.role",
        "messages.0.content.0.text.text",
        "tools.0.custom.name",
        "system",
        "absent",
    ],
)
def test_what_a_request_needs_is_never_removed(path: str) -> None:
    request = sent(messages=IN_LOOP, tools=[TOOL], system="s")
    assert native_repair_of(400, databricks(f"{path}: {EXTRA}"), request) is None


def test_a_request_without_the_field_is_not_even_parsed() -> None:
    repair = repair_of(f"tools.0.custom.bar: {EXTRA}", sent(tools=[TOOL]))
    broken = NativeSent(b'{"no json": ', None)
    assert repair.apply(broken) is broken


def test_every_wrapper_is_read() -> None:
    for wrap in WRAPPERS:
        repair = native_repair_of(400, wrap(f"top_secret: {EXTRA}"), sent(top_secret=1))
        assert repair is not None
        assert (repair.rule, repair.what) == ("unknown_field_removed", "top_secret")


# -- the header -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("Unexpected value(s) `b-2` for the `anthropic-beta` header. Please consult", "a-1,c-3"),
        ("Unexpected value(s) `x`, `c-3` for the `anthropic-beta` header.", "a-1,b-2"),
        ("unexpected values 'a-1' for the anthropic-beta header", "b-2,c-3"),
    ],
)
def test_a_refused_beta_is_removed_from_the_header(sentence: str, left: str) -> None:
    request = sent("a-1,b-2,c-3")
    repair = repair_of(sentence, request)
    changed = repair.apply(request)
    assert (repair.rule, repair.memory) == (RepairRule.UNKNOWN_BETA_REMOVED, "model")
    assert (changed.betas, changed.data, request.betas) == (left, request.data, "a-1,b-2,c-3")


def test_betas_are_refused_one_after_the_other_until_none_is_left() -> None:
    request, tried = sent("a-1,b-2"), set[str]()
    for beta in ("a-1", "b-2"):
        said = databricks(f"Unexpected value(s) `{beta}` for the `anthropic-beta` header.")
        repair = native_repair_of(400, said, request, tried)
        assert repair is not None
        tried.add(repair.key)
        request = repair.apply(request)
        assert native_repair_of(400, said, request, tried) is None
    assert request.betas is None
    said = databricks("Unexpected value(s) `a-1` for the `anthropic-beta` header.")
    assert native_repair_of(400, said, sent(None)) is None


# -- options and history --------------------------------------------------------------------------------


def test_max_tokens() -> None:
    rule, changed = repaired("max_tokens: 32000 > 8192, which is the maximum", thinking=ENABLED)
    assert rule == "max_tokens_lowered"
    assert (changed["max_tokens"], changed["thinking"]["budget_tokens"]) == (8192, 8191)
    rule, changed = repaired("max_tokens (32000) cannot exceed 1024", thinking=ENABLED, messages=IN_LOOP)
    assert (changed["max_tokens"], "thinking" in changed) == (1024, False)
    assert changed["messages"][1]["content"] == [CALL]
    rule, changed = repaired("Exceeded workspace output tokens per minute rate limit for m.", status=429)
    assert (rule, changed["max_tokens"]) == ("max_tokens_halved", 16_000)
    repair = native_max_tokens_repair(RepairRule.MAX_TOKENS_HALVED, 5000, "minute")
    assert json.loads(repair.apply(sent()).data)["max_tokens"] == 5000
    small = sent(max_tokens=100)
    assert repair.apply(small) is small


SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"


def test_a_refused_signature() -> None:
    later = [
        *IN_LOOP,
        {"role": "assistant", "content": [HIDDEN]},
        {"role": "assistant", "content": "plain"},
        {"role": "user", "content": "more"},
    ]
    rule, changed = repaired(SIGNATURE, thinking=ENABLED, messages=later)
    assert rule == "thinking_history_removed"
    assert changed["thinking"] == ENABLED
    assert changed["messages"] == [
        USER,
        {"role": "assistant", "content": [CALL]},
        IN_LOOP[2],
        later[4],
        later[5],
    ]
    _, changed = repaired(SIGNATURE, thinking=ENABLED, messages=IN_LOOP)
    assert "thinking" not in changed, "a budget needs the reasoning that is gone"
    _, changed = repaired(SIGNATURE, thinking=ADAPTIVE, messages=IN_LOOP)
    assert changed["thinking"] == ADAPTIVE
    assert native_repair_of(400, databricks(SIGNATURE), sent(thinking=ADAPTIVE)) is None


def test_thinking_of_the_other_kind() -> None:
    said = "adaptive thinking is not supported on this model"
    config = {"effort": "low"}
    rule, changed = repaired(said, thinking=ADAPTIVE, output_config=config, messages=IN_LOOP)
    assert (rule, changed["thinking"]) == (
        "thinking_kind_switched",
        {"type": "enabled", "budget_tokens": 4000},
    )
    without = [USER, {"role": "assistant", "content": [CALL]}, IN_LOOP[2]]
    _, changed = repaired(said, thinking=ADAPTIVE, messages=without)
    assert "thinking" not in changed
    _, changed = repaired(said, thinking=ADAPTIVE)
    assert changed["thinking"] == {"type": "enabled", "budget_tokens": 31_999}
    said = '"thinking.type.enabled" is not supported for this model.'
    rule, changed = repaired(said, thinking=ENABLED)
    assert (rule, changed["thinking"]) == ("thinking_kind_switched", ADAPTIVE)
    rule, changed = repaired(f"thinking: {EXTRA}", thinking=ENABLED, messages=IN_LOOP)
    assert (rule, "thinking" in changed, changed["messages"][1]["content"]) == (
        "thinking_removed",
        False,
        [CALL],
    )


def test_other_options() -> None:
    rule, changed = repaired("`temperature` is deprecated for this model", temperature=1)
    assert (rule, "temperature" in changed) == ("sampling_removed", False)
    config = {"effort": "low"}
    rule, changed = repaired("This model does not support the effort parameter.", output_config=config)
    assert (rule, "output_config" in changed) == ("effort_removed", False)


@pytest.mark.parametrize("thinking", [ENABLED, None])
def test_a_forced_tool(thinking: Json | None) -> None:
    said = "Thinking may not be enabled when tool_choice forces tool use."
    choice = {"type": "tool", "name": "Read", "disable_parallel_tool_use": True}
    rule, changed = repaired(said, thinking=thinking, tools=[TOOL], tool_choice=choice)
    assert rule == "tool_choice_as_auto"
    assert changed["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert native_repair_of(400, databricks(said), sent(thinking=thinking)) is None
    auto = {"type": "auto"}
    assert native_repair_of(400, databricks(said), sent(thinking=thinking, tool_choice=auto)) is None


def test_a_repair_that_depends_on_thinking_leaves_other_requests_alone() -> None:
    said = "Thinking may not be enabled when tool_choice forces tool use."
    choice = {"type": "any"}
    repair = repair_of(said, sent(thinking=ENABLED, tool_choice=choice))
    without = sent(tool_choice=choice)
    assert repair.apply(without) is without


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (500, f"top_secret: {EXTRA}"),
        (429, f"top_secret: {EXTRA}"),
        (400, "prompt is too long: 2 tokens > 1 maximum"),
        (400, "nobody knows"),
    ],
)
def test_what_is_left_alone(status: int, sentence: str) -> None:
    assert native_repair_of(status, databricks(sentence), sent(top_secret=1)) is None
