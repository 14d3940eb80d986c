"""Thinking for providers with a form of their own: reasoning, deepseek, openrouter, vercel, cerebras."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.config.model import Step
from ccr.protocol.thinking_wish import ThinkingWish
from ccr.transformers.registry import build
from tests.transformers.requests import TOOL, Json, chat, context, sent

ON = ThinkingWish(True)
OFF = ThinkingWish(False)
BUDGET = ThinkingWish(True, 4000)
EFFORT = ThinkingWish(True, None, "max")
CLAUDE = "anthropic/claude-sonnet-4.5"
USER = {"role": "user", "content": "hi"}
SIGNED = {"type": "summary_text", "text": "deep", "signature": "sig"}
SEALED = {"type": "summary_encrypted_text", "data": "xyz"}


def parameters(name: str, options: Json, wish: ThinkingWish | None, model: str = "m", **given: Any) -> Json:
    made = sent(build(Step(name=name, options=options)), chat(**given), context(wish, model))
    return {key: value for key, value in made.items() if key not in ("model", "messages")}


@pytest.mark.parametrize(
    ("options", "wish", "given", "expected"),
    [
        ({}, None, {}, {}),
        ({}, ON, {}, {"thinking": {"type": "enabled"}, "enable_thinking": True}),
        (
            {},
            BUDGET,
            {},
            {"thinking": {"type": "enabled", "budget_tokens": 4000}, "enable_thinking": True},
        ),
        ({"enable": "true"}, OFF, {}, {"thinking": {"type": "disabled"}, "enable_thinking": False}),
        ({"enable": False}, ON, {}, {"thinking": {"type": "disabled"}, "enable_thinking": False}),
        ({"enable": False}, None, {}, {"thinking": {"type": "disabled"}, "enable_thinking": False}),
        # what an OpenAI client says itself
        (
            {},
            None,
            {"reasoning_effort": "high"},
            {"thinking": {"type": "enabled"}, "enable_thinking": True},
        ),
        (
            {},
            None,
            {"reasoning": {"effort": "high", "max_tokens": 7}},
            {"thinking": {"type": "enabled", "budget_tokens": 7}, "enable_thinking": True},
        ),
        (
            {},
            None,
            {"reasoning": {"enabled": False}},
            {"thinking": {"type": "disabled"}, "enable_thinking": False},
        ),
        (
            {},
            None,
            {"reasoning_effort": "none"},
            {"thinking": {"type": "disabled"}, "enable_thinking": False},
        ),
        (
            {},
            None,
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}, "enable_thinking": False},
        ),
        # what the conversion wrote for Claude
        (
            {},
            ON,
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "output_config": {"effort": "low"}},
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "enable_thinking": True},
        ),
    ],
)
def test_reasoning_parameters(options: Json, wish: ThinkingWish | None, given: Json, expected: Json) -> None:
    assert parameters("reasoning", options, wish, **given) == expected


@pytest.mark.parametrize("name", ["openrouter", "vercel"])
@pytest.mark.parametrize(
    ("wish", "model", "given", "expected"),
    [
        (None, "m", {}, {}),
        (
            None,
            "m",
            {"reasoning": {"effort": "low", "exclude": True}},
            {"reasoning": {"effort": "low", "exclude": True}},
        ),
        (None, "m", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}),
        (ON, "m", {}, {"reasoning": {"enabled": True}}),
        (BUDGET, "m", {}, {"reasoning": {"max_tokens": 4000}}),
        (EFFORT, "m", {}, {"reasoning": {"effort": "xhigh"}}),
        (ThinkingWish(True, None, "low"), "m", {}, {"reasoning": {"effort": "low"}}),
        (OFF, "m", {}, {}),
        # for Claude the conversion decides
        (ON, CLAUDE, {}, {}),
        (OFF, CLAUDE, {}, {}),
        (ON, CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 9}}, {"reasoning": {"max_tokens": 9}}),
        (
            ON,
            CLAUDE,
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            {"reasoning": {"effort": "high"}},
        ),
        (None, CLAUDE, {"output_config": {"effort": "high"}}, {}),
    ],
)
def test_openrouter_parameters(
    name: str, wish: ThinkingWish | None, model: str, given: Json, expected: Json
) -> None:
    assert parameters(name, {}, wish, model, **given) == expected


def test_openrouter_options_count_before_the_requests_own() -> None:
    options = {"provider": {"only": ["x"]}, "reasoning": {"enabled": False}, "debug": True, "stream": True}
    assert parameters("openrouter", options, ON) == {
        "provider": {"only": ["x"]},
        "reasoning": {"enabled": False},
    }


def test_openrouter_keeps_cache_breakpoints_for_claude_only() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    request = chat({"role": "user", "content": [part]})
    step = build(Step(name="openrouter"))
    assert sent(step, request, context(model=CLAUDE))["messages"][0]["content"] == [part]
    assert sent(step, request)["messages"][0]["content"] == [{"type": "text", "text": "a"}]


def test_openrouter_mends_images() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    bare = {"type": "image_url", "image_url": {"url": "iVBORw0KGgo="}, "media_type": "image/png"}
    right = {"type": "image_url", "image_url": {"url": url}}
    step = build(Step(name="openrouter"))
    made = sent(step, chat({"role": "user", "content": [bare]}, {"role": "user", "content": [right]}))
    assert [message["content"] for message in made["messages"]] == [[right], [right]]


UNIFIED = {"role": "assistant", "content": "a", "thinking": {"content": "deep", "signature": "s"}}
PARTS = {
    "role": "assistant",
    "content": [
        {"type": "reasoning", "summary": [SIGNED]},
        {"type": "reasoning", "summary": [SEALED]},
        {"type": "text", "text": "a"},
    ],
}
ONLY = {"role": "assistant", "content": [{"type": "reasoning", "summary": [SIGNED]}]}
EMPTY = {"role": "assistant", "content": "a", "thinking": {"content": "", "signature": ""}}
PLAIN = {"role": "assistant", "content": "a"}
OWN = {"role": "assistant", "content": "a", "reasoning_content": "own"}
TEXT = [{"type": "text", "text": "a"}]
ABOUT = {"format": "anthropic-claude-v1"}


@pytest.mark.parametrize(
    ("name", "model", "given", "expected"),
    [
        ("reasoning", "m", UNIFIED, {**PLAIN, "reasoning_content": "deep"}),
        ("reasoning", "m", PARTS, {"role": "assistant", "content": TEXT, "reasoning_content": "deep"}),
        ("reasoning", "m", ONLY, {"role": "assistant", "content": None, "reasoning_content": "deep"}),
        ("reasoning", "m", EMPTY, PLAIN),
        ("reasoning", "m", PLAIN, PLAIN),
        ("reasoning", "m", OWN, OWN),
        ("deepseek", "m", UNIFIED, {**PLAIN, "reasoning_content": "deep"}),
        ("deepseek", "m", PLAIN, PLAIN),
        ("openrouter", "m", UNIFIED, {**PLAIN, "reasoning": "deep"}),
        ("openrouter", "m", PLAIN, PLAIN),
        ("vercel", "m", UNIFIED, {**PLAIN, "reasoning": "deep"}),
        ("openrouter", CLAUDE, PLAIN, PLAIN),
        (
            "openrouter",
            CLAUDE,
            PARTS,
            {
                "role": "assistant",
                "content": TEXT,
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "deep", "signature": "sig", **ABOUT, "index": 0},
                    {"type": "reasoning.encrypted", "data": "xyz", **ABOUT, "index": 1},
                ],
            },
        ),
        ("extrathinktag", "m", UNIFIED, {"role": "assistant", "content": "<think>\ndeep\n</think>\n\na"}),
        ("extrathinktag", "m", PLAIN, PLAIN),
        (
            "extrathinktag",
            "m",
            PARTS,
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "<think>\ndeep\n</think>\n\n"}, *TEXT],
            },
        ),
        ("extrathinktag", "m", ONLY, {"role": "assistant", "content": "<think>\ndeep\n</think>\n\n"}),
    ],
)
def test_the_historys_thinking_goes_back_in_the_providers_form(
    name: str, model: str, given: Json, expected: Json
) -> None:
    step = build(Step(name=name))
    assert sent(step, chat(USER, given, USER), context(model=model))["messages"] == [USER, expected, USER]


def test_deepseek_demands_thinking_of_every_answer_once_there_are_tools() -> None:
    made = sent(build(Step(name="deepseek")), chat(USER, PLAIN, USER, UNIFIED, USER, OWN, USER, tools=[TOOL]))
    assert [message.get("reasoning_content") for message in made["messages"]] == [
        None,
        "",
        None,
        "deep",
        None,
        "own",
        None,
    ]


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [({}, 32_000, 8_192), ({}, 100, 100), ({"max_tokens": 64_000}, 70_000, 64_000)],
)
def test_deepseeks_limit(options: Json, given: int, expected: int) -> None:
    assert parameters("deepseek", options, None, max_tokens=given) == {"max_tokens": expected}


@pytest.mark.parametrize(
    ("model", "wish", "given", "expected"),
    [
        ("m", ON, {}, {}),
        ("m", OFF, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ("m", None, {"reasoning": {"effort": "high"}, "thinking": {"type": "enabled"}}, {}),
        ("zai-glm-4.6", ON, {}, {}),
        ("zai-glm-4.6", OFF, {}, {"disable_reasoning": True}),
    ],
)
def test_cerebras(model: str, wish: ThinkingWish | None, given: Json, expected: Json) -> None:
    assert parameters("cerebras", {}, wish, model, **given) == expected
