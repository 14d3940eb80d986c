"""Every wording of a refusal that a repair is known for, what the repair changes, and what is left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.protocol.repairs import RepairRule, repair_of
from tests.protocol.repairable import (
    ADAPTIVE,
    ENABLED,
    RESULT,
    STEP,
    STEP_WITHOUT,
    USER,
    WRAPPERS,
    Json,
    body,
    databricks,
    repaired,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "translation.md"
RATE = "REQUEST_LIMIT_EXCEEDED: Exceeded workspace output tokens per minute rate limit for the-model."
LOWERED = [
    (
        (
            "Bad request: rpc error: code = InvalidArgument desc = max_tokens (32000) cannot exceed 8192. "
            "Please reduce max_tokens and try again."
        ),
        8192,
    ),
    (
        "max_tokens: 32000 > 4096, which is the maximum allowed number of output tokens for claude-3-opus",
        4096,
    ),
    ("max_tokens: Input should be less than or equal to 8192", 8192),
    ("`max_tokens` must be less than or equal to `8192`, the maximum value for this model", 8192),
    (
        (
            "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas "
            "you provided 32000."
        ),
        16_384,
    ),
    (
        (
            "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum "
            "tokens value that is lower than 4096."
        ),
        4096,
    ),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
    (
        (
            "Unable to submit request because it has a maxOutputTokens value of 32000 but the supported "
            "range is from 1 (inclusive) to 8193 (exclusive). Update the value and try again."
        ),
        8192,
    ),
    ("max_completion_tokens (32,000) cannot exceed 25,000", 25_000),
]


@pytest.mark.parametrize("wrapped", WRAPPERS)
@pytest.mark.parametrize(("sentence", "limit"), LOWERED)
def test_max_tokens_is_lowered_to_the_named_limit(
    sentence: str, limit: int, wrapped: Callable[[str], bytes]
) -> None:
    assert repaired(wrapped(sentence)) == ("max_tokens_lowered", body(max_tokens=limit))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"thinking": ENABLED}, {"thinking": {"type": "enabled", "budget_tokens": 8191}}),
        ({"thinking": {**ENABLED, "budget_tokens": 2000}}, {"thinking": {**ENABLED, "budget_tokens": 2000}}),
        ({"thinking": ADAPTIVE}, {"thinking": ADAPTIVE}),
    ],
)
def test_a_budget_stays_below_max_tokens(keys: Json, expected: Json) -> None:
    wanted = ("max_tokens_lowered", body(max_tokens=8192, **expected))
    low_budget = {**ENABLED, "budget_tokens": 10_000} if keys["thinking"] is ENABLED else keys["thinking"]
    assert repaired("max_tokens (32000) cannot exceed 8192", thinking=low_budget) == wanted


def test_thinking_goes_off_where_no_budget_fits() -> None:
    after = repaired("max_tokens (32000) cannot exceed 1024", messages=[USER, STEP, RESULT], thinking=ENABLED)
    wanted = body(messages=[USER, STEP_WITHOUT, RESULT], max_tokens=1024)
    assert after == ("max_tokens_lowered", wanted)


def test_openai_clients_name_the_limit_otherwise() -> None:
    after = repaired("max_tokens (9000) cannot exceed 8192", max_tokens=None, max_completion_tokens=9000)
    assert after == ("max_tokens_lowered", body(max_tokens=None, max_completion_tokens=8192))


@pytest.mark.parametrize(
    ("sentence", "keys"),
    [
        ("input length and `max_tokens` exceed context limit: 198981 + 32000 > 200000", {}),
        ("prompt is too long: 210000 tokens > 200000 maximum", {}),
        ("max_tokens (32000) cannot exceed 64000", {}),
        ("max_tokens (32000) cannot exceed 8192", {"max_tokens": None}),
        ("max_tokens (32000) cannot exceed 8192", {"max_tokens": "many"}),
        ("max_tokens (32000) cannot exceed 0", {}),
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", {"thinking": ENABLED}),
        ("max_tokens: Field required", {}),
    ],
)
def test_other_sentences_about_max_tokens_are_left_alone(sentence: str, keys: Json) -> None:
    assert repaired(sentence, **keys) is None


@pytest.mark.parametrize(
    "said",
    [
        json.dumps({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": RATE}),
        json.dumps(
            {"error": {"message": "slow down", "limit_type": "output_tokens_per_minute", "code": 429}}
        ),
        "REQUEST_LIMIT_EXCEEDED: OTPM limit reached",
    ],
)
def test_a_reservation_that_does_not_fit_is_halved(said: str) -> None:
    assert repaired(said.encode(), status=429) == ("max_tokens_halved", body(max_tokens=16_000))
    repair = repair_of(429, said.encode(), request())
    assert repair is not None
    assert (repair.memory, repair.limit) == ("minute", 16_000)


@pytest.mark.parametrize(
    ("asked", "thinking", "expected"),
    [
        (2048, None, 1024),
        (2047, None, None),
        (2048, ENABLED, None),
        (2050, ENABLED, 1025),
        (None, None, None),
    ],
)
def test_halving_has_an_end(asked: int | None, thinking: Json | None, expected: int | None) -> None:
    if thinking is not None:
        thinking = {**thinking, "budget_tokens": 1024}
    after = repaired(RATE.encode(), status=429, max_tokens=asked, thinking=thinking)
    wanted = ("max_tokens_halved", body(max_tokens=expected, thinking=thinking)) if expected else None
    assert after == wanted


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (429, "REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit for the-model."),
        (429, "REQUEST_LIMIT_EXCEEDED: Exceeded workspace QPS rate limit"),
        (429, ""),
        (503, RATE),
    ],
)
def test_other_shortages_are_left_alone(status: int, sentence: str) -> None:
    assert repaired(sentence.encode(), status=status) is None


SAMPLING: list[tuple[str, Json, Json]] = [
    ("`temperature` is not supported for this model.", {"temperature": 0.5}, {}),
    ("`temperature` is deprecated for this model.", {"temperature": 1}, {}),
    ("top_k is not supported", {"top_k": 5, "temperature": 1}, {"temperature": 1}),
    ("This model does not support temperature, top_p or top_k", {"top_k": 5, "temperature": 1}, {}),
    (
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) "
            "value is supported."
        ),
        {"temperature": 0.2},
        {},
    ),
    (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        {"temperature": 0.2, "top_p": 0.5},
        {"temperature": 0.2},
    ),
    (
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
        {"temperature": 0.2, "thinking": ENABLED},
        {"thinking": ENABLED},
    ),
    (
        "`top_k` must be unset when thinking is enabled or in adaptive mode.",
        {"top_k": 3, "thinking": ADAPTIVE},
        {"thinking": ADAPTIVE},
    ),
]


@pytest.mark.parametrize(("sentence", "before", "after"), SAMPLING)
def test_sampling_goes(sentence: str, before: Json, after: Json) -> None:
    assert repaired(sentence, **before) == ("sampling_removed", body(**after))


def test_what_is_refused_beside_something_stays_without_it() -> None:
    both = repair_of(400, SAMPLING[5][0].encode(), request(temperature=1, top_p=1))
    beside_thinking = repair_of(400, SAMPLING[6][0].encode(), request(temperature=0, thinking=ENABLED))
    for repair, chat in ((both, request(top_p=1)), (beside_thinking, request(temperature=0))):
        assert repair is not None
        assert repair.apply(chat) is chat


FORCED = {"type": "function", "function": {"name": "Bash"}}


@pytest.mark.parametrize("choice", [FORCED, "required"])
@pytest.mark.parametrize(
    ("sentence", "thinking"),
    [
        ("Thinking may not be enabled when tool_choice forces tool use.", ENABLED),
        ("tool_choice: only `auto` is valid with thinking", ADAPTIVE),
        ("tool_choice 'required' is not supported for this model", None),
    ],
)
def test_a_forced_tool_becomes_auto(sentence: str, thinking: Json | None, choice: Any) -> None:
    after = repaired(sentence, thinking=thinking, tool_choice=choice)
    assert after == ("tool_choice_as_auto", body(thinking=thinking, tool_choice="auto"))


def test_a_tool_may_be_forced_where_thinking_is_off() -> None:
    chat = request(thinking=ENABLED, tool_choice="required")
    repair = repair_of(400, b"Thinking may not be enabled when tool_choice forces tool use.", chat)
    assert repair is not None
    other = request(tool_choice="required")
    assert repair.apply(other) is other


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"output_config": {"effort": "max"}}, {}),
        ({"output_config": {"effort": "max", "format": 1}}, {"output_config": {"format": 1}}),
        ({"reasoning_effort": "low"}, {}),
    ],
)
@pytest.mark.parametrize(
    "sentence",
    ["This model does not support the effort parameter.", "output_config.effort is not supported"],
)
def test_effort_goes(sentence: str, before: Json, after: Json) -> None:
    assert repaired(sentence, **before) == ("effort_removed", body(**after))


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, ""),
        (400, "messages: text content blocks must be non-empty"),
        (400, "Input should be 'user' or 'assistant'"),
        (400, "This model does not support assistant message prefill."),
        (400, "temperature: range: 0..1"),
        (400, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"),
        (400, "Endpoint does not exist"),
        (400, "This model does not support thinking"),  # the request has none
        (400, '"thinking.type.enabled" is not supported for this model.'),
        (400, "`temperature` is not supported for this model."),
        (400, "tool_choice is not supported"),
        (400, "effort is not supported"),
        (401, "store: Extra inputs are not permitted"),
        (403, "The endpoint is temporarily disabled due to a Databricks-set rate limit of 0."),
        (404, "store: Extra inputs are not permitted"),
        (413, "max_tokens (32000) cannot exceed 8192"),
        (500, "max_tokens (32000) cannot exceed 8192"),
    ],
)
def test_what_no_repair_is_known_for(status: int, sentence: str) -> None:
    assert repaired(databricks(sentence), status=status) is None


def test_repairs_that_were_tried_are_not_tried_again() -> None:
    chat = request(store=1, other=2)
    data = b"store: Extra inputs are not permitted\nother: Extra inputs are not permitted"
    first = repair_of(400, data, chat)
    assert first is not None
    second = repair_of(400, data, chat, {first.key})
    assert second is not None
    assert [first.what, second.what] == ["store", "other"]
    assert repair_of(400, data, chat, {first.key, second.key}) is None


def test_the_page_describes_every_repair_and_no_other() -> None:
    section = PAGE.read_text("utf-8").partition("\n## Repairs")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(described) == sorted(RepairRule)
