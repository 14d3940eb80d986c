"""The ``thinking`` parameter by model, by limit and by history."""

from __future__ import annotations

import pytest

from ccr.protocol.traits import ModelTraits
from tests.protocol.chat_requests import (
    ADAPTIVE,
    ALWAYS,
    BOTH,
    BUDGET,
    GPT,
    PLAIN_CLAUDE,
    REASONING_GPT,
    Json,
    assistant,
    converted,
    custom_tool,
    thinking,
    tool_result,
    tool_use,
    user,
    with_messages,
)

ENABLED = {"type": "enabled", "budget_tokens": 4000}
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm", "signature": "sig"}]}


def enabled(budget_tokens: int) -> Json:
    return {"type": "enabled", "budget_tokens": budget_tokens}


@pytest.mark.parametrize(
    ("wanted", "traits", "sent", "rules"),
    [
        (None, BUDGET, None, ()),
        ({"type": "disabled"}, BUDGET, None, ()),
        ({"type": "disabled"}, BOTH, None, ()),
        ({"type": "disabled"}, ADAPTIVE, None, ("thinking_disabled_dropped",)),
        ({"type": "disabled"}, PLAIN_CLAUDE, None, ()),
        ({"type": "dreaming"}, ADAPTIVE, None, ("thinking_dropped",)),
        (ENABLED, PLAIN_CLAUDE, None, ("thinking_dropped",)),
        (ENABLED, GPT, None, ("thinking_dropped",)),
        (ENABLED, BUDGET, ENABLED, ()),
        (ENABLED, BOTH, ENABLED, ()),
        (ENABLED, ADAPTIVE, {"type": "adaptive"}, ("thinking_enabled_as_adaptive",)),
        (enabled(12), BUDGET, enabled(1024), ("thinking_budget_clamped",)),
        (enabled(90_000), BUDGET, enabled(7999), ("thinking_budget_clamped",)),
        ({"type": "enabled"}, BUDGET, enabled(7999), ("thinking_budget_clamped",)),
        (ENABLED | {"display": "omitted"}, BUDGET, ENABLED, ("thinking_display_dropped",)),
        (
            ENABLED | {"display": "omitted"},
            ADAPTIVE,
            {"type": "adaptive", "display": "omitted"},
            ("thinking_enabled_as_adaptive",),
        ),
        ({"type": "adaptive"}, ADAPTIVE, {"type": "adaptive"}, ()),
        ({"type": "adaptive"}, BOTH, {"type": "adaptive"}, ()),
        (
            {"type": "adaptive", "display": "summarized"},
            BOTH,
            {"type": "adaptive", "display": "summarized"},
            (),
        ),
        (
            {"type": "adaptive", "display": "updates"},
            BOTH,
            {"type": "adaptive", "display": "summarized"},
            ("thinking_display_replaced",),
        ),
    ],
)
def test_kinds_of_thinking(
    wanted: Json | None, traits: ModelTraits, sent: Json | None, rules: tuple[str, ...]
) -> None:
    result = converted(with_messages(user("a"), thinking=wanted), traits)
    assert result.chat.get("thinking") == sent
    assert result.rules == rules


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("low", 4000), ("medium", 10_000), ("high", 31_999), ("max", 31_999), (None, 31_999)],
)
def test_adaptive_thinking_becomes_a_budget_by_effort(effort: str | None, budget: int) -> None:
    config = {"effort": effort} if effort else None
    body = with_messages(user("a"), thinking={"type": "adaptive"}, output_config=config) | {
        "max_tokens": 64_000
    }
    result = converted(body, BUDGET)
    assert result.chat["thinking"] == enabled(budget)
    assert "thinking_adaptive_as_enabled" in result.rules
    assert "thinking_budget_clamped" not in result.rules


@pytest.mark.parametrize(
    ("max_tokens", "sent", "rules"),
    [
        (1024, None, ("thinking_off_for_max_tokens",)),
        (1, None, ("thinking_off_for_max_tokens",)),
        (1025, enabled(1024), ("thinking_budget_clamped",)),
        (100_000, ENABLED, ("max_tokens_clamped",)),
    ],
)
def test_the_budget_stays_below_max_tokens(
    max_tokens: int, sent: Json | None, rules: tuple[str, ...]
) -> None:
    body = with_messages(user("a"), thinking=ENABLED) | {"max_tokens": max_tokens}
    result = converted(body, BUDGET)
    assert result.chat.get("thinking") == sent
    assert result.rules == rules


def test_without_any_limit_the_budget_is_the_clients() -> None:
    body = {"model": "m", "messages": [user("a")], "thinking": ENABLED}
    traits = ModelTraits(family="other", thinking=frozenset({"budget"}))
    assert converted(body, traits).chat["thinking"] == ENABLED


LOOP_WITHOUT_THINKING = [assistant(tool_use("t1")), user(tool_result("t1"))]
LOOP_WITH_THINKING = [assistant(thinking(), tool_use("t1")), user(tool_result("t1"))]
WITH_REMINDER = [assistant(thinking(), tool_use("t1")), user(tool_result("t1"), "a reminder")]
SECOND_STEP = [assistant(tool_use("t2")), user(tool_result("t2"))]
SECOND_STEP_THINKING = [assistant(thinking(), tool_use("t2")), user(tool_result("t2"))]


@pytest.mark.parametrize(
    ("history", "is_on"),
    [
        ([user("a")], True),
        ([user("a"), assistant("b"), user("c")], True),
        ([user("a"), *LOOP_WITH_THINKING], True),
        ([user("a"), *LOOP_WITHOUT_THINKING], False),
        ([user("a"), *LOOP_WITH_THINKING, *SECOND_STEP], True),
        ([user("a"), *LOOP_WITH_THINKING, *SECOND_STEP, *SECOND_STEP_THINKING, *SECOND_STEP], True),
        ([user("a"), *WITH_REMINDER, *SECOND_STEP], True),
        ([user("a"), *LOOP_WITHOUT_THINKING, assistant("done"), user("b"), *LOOP_WITH_THINKING], True),
        ([user("a"), *LOOP_WITH_THINKING, assistant("done"), user("b"), *LOOP_WITHOUT_THINKING], False),
        ([user("a"), *LOOP_WITH_THINKING, *SECOND_STEP_THINKING], True),
        ([user("a"), *LOOP_WITHOUT_THINKING, *SECOND_STEP_THINKING], False),
        ([user("a"), *LOOP_WITHOUT_THINKING, assistant("done"), user("next")], True),
        ([user("a"), assistant(tool_use("t")), user(tool_result("t"), "and a text")], False),
        ([user("a"), assistant(thinking(), tool_use("t")), user(tool_result("t"), "and a text")], True),
        ([user("a"), assistant("text first", tool_use("t")), user(tool_result("t"))], False),
    ],
)
def test_a_budget_needs_a_tool_loop_that_began_with_thinking(history: list[Json], *, is_on: bool) -> None:
    result = converted(with_messages(*history, thinking=ENABLED), BUDGET)
    assert ("thinking" in result.chat) is is_on
    assert ("thinking_off_for_history" in result.rules) is not is_on


def test_adaptive_thinking_needs_nothing_of_the_history() -> None:
    body = with_messages(user("a"), *LOOP_WITHOUT_THINKING, thinking={"type": "adaptive"})
    assert converted(body, BOTH).chat["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("traits", [BUDGET, BOTH, ADAPTIVE])
def test_with_thinking_off_the_current_loop_holds_no_reasoning(traits: ModelTraits) -> None:
    earlier = [assistant(thinking(), "b"), user("c")]
    loop = [*LOOP_WITH_THINKING, assistant(thinking(), "d", tool_use("t2")), user(tool_result("t2"))]
    result = converted(with_messages(user("a"), *earlier, *loop), traits)
    answers = [message for message in result.messages if message["role"] == "assistant"]
    assert answers[0]["content"] == [REASONING, {"type": "text", "text": "b"}]
    assert "content" not in answers[1]
    assert answers[2]["content"] == [{"type": "text", "text": "d"}]
    assert result.rules == ("thinking_history_dropped",)


@pytest.mark.parametrize(("traits", "kind"), [(BUDGET, ENABLED), (ADAPTIVE, {"type": "adaptive"})])
def test_with_thinking_on_the_current_loop_keeps_its_reasoning(traits: ModelTraits, kind: Json) -> None:
    result = converted(with_messages(user("a"), *LOOP_WITH_THINKING, thinking=kind), traits)
    assert result.messages[1]["content"] == [REASONING]
    assert result.rules == ()


@pytest.mark.parametrize(
    ("keys", "sent", "rules"),
    [
        ({}, None, ()),
        ({"thinking": {"type": "disabled"}}, "low", ("thinking_disabled_as_low_effort",)),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            "low",
            ("thinking_disabled_as_low_effort",),
        ),
        ({"thinking": {"type": "adaptive"}}, "high", ("thinking_as_reasoning_effort",)),
        ({"thinking": {"type": "enabled"}}, "high", ("thinking_as_reasoning_effort",)),
        ({"thinking": enabled(4000)}, "low", ("thinking_as_reasoning_effort",)),
        ({"thinking": enabled(4001)}, "medium", ("thinking_as_reasoning_effort",)),
        ({"thinking": enabled(31_999)}, "high", ("thinking_as_reasoning_effort",)),
        ({"thinking": {"type": "dreaming"}}, None, ("thinking_dropped",)),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
            "medium",
            ("thinking_as_reasoning_effort",),
        ),
        ({"output_config": {"effort": "low"}}, "low", ()),
        ({"output_config": {"effort": "max"}}, "high", ("effort_replaced",)),
        ({"output_config": {"effort": "minimal"}}, "low", ("effort_replaced",)),
        ({"output_config": {"effort": "novel"}}, None, ("effort_dropped",)),
        (
            {"thinking": enabled(1024), "output_config": {"effort": "novel"}},
            "low",
            ("thinking_as_reasoning_effort", "effort_dropped"),
        ),
    ],
)
def test_models_of_other_vendors_are_told_an_effort(
    keys: Json, sent: str | None, rules: tuple[str, ...]
) -> None:
    result = converted(with_messages(user("a"), **keys), REASONING_GPT)
    assert result.chat.get("reasoning_effort") == sent
    assert not result.chat.keys() & {"thinking", "output_config"}
    assert result.rules == rules


@pytest.mark.parametrize("thinking_key", [{}, {"thinking": {"type": "disabled"}}])
def test_a_model_that_always_thinks_cannot_be_forced_and_keeps_its_reasoning(thinking_key: Json) -> None:
    choice = {"type": "tool", "name": "Bash"}
    body = with_messages(
        user("a"), *LOOP_WITH_THINKING, tools=[custom_tool()], tool_choice=choice, **thinking_key
    )
    result = converted(body, ALWAYS)
    assert result.chat["tool_choice"] == "auto"
    assert result.messages[1]["content"] == [REASONING]
    assert "thinking" not in result.chat
    json_format = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    wanted = converted(with_messages(user("a"), output_config=json_format, **thinking_key), ALWAYS)
    assert wanted.json_tool is None
    assert "json_format_as_instruction" in wanted.rules
