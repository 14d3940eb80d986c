"""Refusals of thinking: of the reasoning in the history, of a kind of thinking, of thinking at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ccr.protocol.repairs import repair_of
from tests.protocol.repairable import (
    ADAPTIVE,
    ENABLED,
    IN_LOOP,
    RESULT,
    STEP,
    STEP_WITHOUT,
    USER,
    WRAPPERS,
    Json,
    body,
    repaired,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY = [
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "messages.1.content.0: Invalid signature in thinking block",
    "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    (
        "messages.3.content.8: `thinking` or `redacted_thinking` blocks in the latest assistant message "
        "cannot be modified. These blocks must remain as they were in the original response."
    ),
    "messages.1.content.0.thinking.signature: Field required",
    "messages.1.content.0.thinking.signature.str: Input should be a valid string",
    "Unable to submit request because Thought signature is not valid.",
    "messages.3: The final block in an assistant message cannot be `thinking`.",
    (
        "messages.1.content.0.type: When `thinking` is disabled, an `assistant` message in the final "
        "position cannot contain `thinking`."
    ),
    "messages.1.content.0: Input tag 'reasoning' found using 'type' does not match any of the expected tags",
]


@pytest.mark.parametrize("wrapped", WRAPPERS)
@pytest.mark.parametrize("sentence", HISTORY)
def test_refused_reasoning_leaves_the_history(sentence: str, wrapped: Callable[[str], bytes]) -> None:
    after = repaired(wrapped(sentence), thinking=ENABLED)
    assert after is not None
    rule, chat = after
    assert rule == "thinking_history_removed"
    assert "reasoning" not in json.dumps(chat["messages"])
    assert chat["thinking"] == ENABLED
    assert chat["messages"][2] == STEP_WITHOUT
    assert {**chat, "messages": 0} == {**body(thinking=ENABLED), "messages": 0}


@pytest.mark.parametrize(("thinking", "stays"), [(ENABLED, False), (ADAPTIVE, True), (None, True)])
def test_in_a_tool_loop_a_budget_goes_with_the_reasoning(thinking: Json | None, *, stays: bool) -> None:
    asked = {"role": "user", "content": "and?"}
    for messages in ([*IN_LOOP], [*IN_LOOP, asked]):
        after = repaired(HISTORY[0], messages=messages, thinking=thinking)
        expected = [STEP_WITHOUT if message is STEP else message for message in messages]
        wanted = body(messages=expected, thinking=thinking if stays else None)
        assert after == ("thinking_history_removed", wanted)


def test_messages_of_reasoning_alone() -> None:
    only = {**STEP, "content": STEP["content"][:1]}
    last = {"role": "assistant", "content": only["content"]}
    after = repaired(HISTORY[0], messages=[USER, only, RESULT, last, USER])
    without = {key: value for key, value in only.items() if key != "content"}
    assert after == ("thinking_history_removed", body(messages=[USER, without, RESULT, USER]))


def test_missing_reasoning_turns_thinking_off() -> None:
    sentence = (
        "messages.3.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block."
    )
    after = repaired(sentence, messages=[USER, STEP_WITHOUT, RESULT], thinking=ENABLED)
    assert after == ("thinking_history_removed", body(messages=[USER, STEP_WITHOUT, RESULT]))


def test_a_history_is_not_remembered() -> None:
    repair = repair_of(400, HISTORY[0].encode(), request())
    assert repair is not None
    assert repair.memory == "request"


TO_ADAPTIVE = [
    (
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.'
    ),
    'ValidationException: "thinking.type.enabled" is not supported for this model.',
    "Manual thinking budget is no longer available on this model",
    "thinking: Input tag 'enabled' found using 'type' does not match any of the expected tags: 'adaptive'",
]
TO_ENABLED = [
    "adaptive thinking is not supported on this model",
    "thinking.type: Input should be 'enabled' or 'disabled'",
    (
        "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: "
        "'disabled', 'enabled'"
    ),
    "Only 'enabled' and 'disabled' are supported for thinking; 'adaptive' is not supported.",
    '"thinking.type.adaptive" is not supported for this model.',
]


@pytest.mark.parametrize("sentence", TO_ADAPTIVE)
def test_a_budget_becomes_adaptive(sentence: str) -> None:
    wanted = body(thinking={"type": "adaptive", "display": "summarized"})
    assert repaired(sentence, thinking=ENABLED) == ("thinking_kind_switched", wanted)


@pytest.mark.parametrize("sentence", TO_ENABLED)
@pytest.mark.parametrize(
    ("effort", "max_tokens", "budget"),
    [("low", 32_000, 4000), ("medium", 9000, 8999), ("max", None, 31_999), (None, 32_000, 31_999)],
)
def test_adaptive_becomes_a_budget(
    sentence: str, effort: str | None, max_tokens: int | None, budget: int
) -> None:
    config = {"effort": effort} if effort else None
    after = repaired(sentence, thinking=ADAPTIVE, output_config=config, max_tokens=max_tokens)
    enabled = {"type": "enabled", "budget_tokens": budget}
    assert after == (
        "thinking_kind_switched",
        body(thinking=enabled, output_config=config, max_tokens=max_tokens),
    )


@pytest.mark.parametrize(
    ("messages", "max_tokens", "expected"),
    [
        ([USER], 1024, [USER]),
        ([USER, STEP_WITHOUT, RESULT], 9000, [USER, STEP_WITHOUT, RESULT]),
        (
            [USER, STEP_WITHOUT, RESULT, STEP, RESULT],
            9000,
            [USER, STEP_WITHOUT, RESULT, STEP_WITHOUT, RESULT],
        ),
    ],
)
def test_thinking_goes_off_where_a_budget_cannot_be(
    messages: list[Json], max_tokens: int, expected: list[Json]
) -> None:
    after = repaired(TO_ENABLED[0], thinking=ADAPTIVE, messages=messages, max_tokens=max_tokens)
    assert after == ("thinking_kind_switched", body(messages=expected, max_tokens=max_tokens))


def test_a_budget_stays_possible_in_a_loop_with_reasoning() -> None:
    after = repaired(TO_ENABLED[0], thinking=ADAPTIVE, messages=IN_LOOP)
    enabled = {"type": "enabled", "budget_tokens": 31_999}
    assert after == ("thinking_kind_switched", body(messages=IN_LOOP, thinking=enabled))


@pytest.mark.parametrize(
    "sentence",
    [
        "This model does not support thinking",
        "thinking: Extra inputs are not permitted",
        'json: unknown field "thinking"',
        "Extended thinking is not supported for this model.",
    ],
)
def test_thinking_goes_off_for_a_model_without(sentence: str) -> None:
    after = repaired(sentence, thinking=ENABLED, messages=IN_LOOP)
    expected = [STEP_WITHOUT if message is STEP else message for message in IN_LOOP]
    assert after == ("thinking_removed", body(messages=expected))


def test_a_model_that_takes_neither_kind_does_not_think() -> None:
    chat = request(thinking=ENABLED)
    sentence = TO_ADAPTIVE[0].encode()
    repair = repair_of(400, sentence, chat, {"thinking_kind_switched"})
    assert repair is not None
    assert repair.rule == "thinking_removed"
    assert repair_of(400, sentence, chat, {"thinking_kind_switched", "thinking_removed"}) is None
