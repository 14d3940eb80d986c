"""The steps that only change parameters, from cleancache to streamoptions."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.config.model import Step
from ccr.transformers.registry import build
from tests.transformers.requests import TOOL, Json, chat, sent

EPHEMERAL = {"type": "ephemeral"}
AROUND = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("name", "options", "given", "expected"),
    [
        ("Anthropic", {}, {"max_tokens": 9}, {"max_tokens": 9}),
        ("OpenAI", {}, {"max_tokens": 9}, {"max_tokens": 9}),
        ("maxtoken", {"max_tokens": 5}, {"max_tokens": 9}, {"max_tokens": 5}),
        ("maxtoken", {"max_tokens": "5"}, {"max_tokens": 9}, {"max_tokens": 5}),
        ("maxtoken", {"max_tokens": "5.0"}, {"max_tokens": 9}, {"max_tokens": 5}),
        ("maxtoken", {"max_tokens": 5}, {"max_tokens": 4}, {"max_tokens": 4}),
        ("maxtoken", {"max_tokens": 5}, {}, {}),
        ("maxtoken", {"max_tokens": 5}, {"max_tokens": None}, {"max_tokens": None}),
        ("maxtoken", {"max_tokens": 5}, {"max_completion_tokens": 9}, {"max_completion_tokens": 5}),
        ("maxcompletiontokens", {}, {"max_tokens": 9}, {"max_completion_tokens": 9}),
        ("maxcompletiontokens", {}, {}, {}),
        (
            "maxcompletiontokens",
            {},
            {"max_tokens": 9, "max_completion_tokens": 7},
            {"max_completion_tokens": 7},
        ),
        (
            "maxcompletiontokens",
            {"max_completion_tokens": 5},
            {"max_tokens": 9},
            {"max_completion_tokens": 5},
        ),
        ("sampling", {}, {"temperature": 1}, {"temperature": 1}),
        ("sampling", {"temperature": "0.5"}, {"temperature": 1}, {"temperature": 0.5}),
        (
            "sampling",
            {"temperature": 0, "top_p": 0.9, "top_k": "20", "repetition_penalty": 1.1, "max_tokens": 5},
            {"max_tokens": 9},
            {"max_tokens": 5, "temperature": 0, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.1},
        ),
        ("customparams", {}, {"a": 1}, {"a": 1}),
        ("customparams", {"a": 1, "debug": True}, {}, {"a": 1}),
        ("customparams", {"a": 1, "b": [1]}, {"a": 2, "b": [2]}, {"a": 2, "b": [2]}),
        ("customparams", {"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ("customparams", {"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ("customparams", {"a": 1}, {"a": None}, {"a": None}),
        (
            "customparams",
            {"a": {"b": {"c": 1}, "e": [1]}},
            {"a": {"b": {"c": 2, "d": 3}, "f": 4}},
            {"a": {"b": {"c": 1, "d": 3}, "f": 4, "e": [1]}},
        ),
        ("customparams", {"messages": [], "stream": True, "model": "x"}, {}, {}),
        ("streamoptions", {}, {}, {}),
        ("streamoptions", {}, {"stream": False}, {"stream": False}),
        ("streamoptions", {}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        (
            "streamoptions",
            {},
            {"stream": True, "stream_options": {"x": 1, "include_usage": False}},
            {"stream": True, "stream_options": {"x": 1, "include_usage": True}},
        ),
    ],
)
def test_parameters(name: str, options: dict[str, Any], given: Json, expected: Json) -> None:
    step = build(Step(name=name, options=options))
    assert sent(step, chat(**given)) == {**AROUND, **expected}


def test_cleancache_finds_every_place() -> None:
    request = chat(
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": EPHEMERAL}]},
        {"role": "user", "content": "b", "cache_control": EPHEMERAL},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "cache_control": EPHEMERAL, "function": {}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "r", "cache_control": EPHEMERAL},
        tools=[{**TOOL, "cache_control": EPHEMERAL}],
    )
    made = sent(build(Step(name="cleancache")), request)
    assert "cache_control" not in str(made)
    assert made["messages"][0]["content"] == [{"type": "text", "text": "a"}]
    assert made["tools"] == [TOOL]
    plain = chat()
    assert build(Step(name="cleancache")).request(plain, None) is plain  # type: ignore[arg-type] # not read
