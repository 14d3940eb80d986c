"""The npm router's words for thinking: what plugins are offered, and what is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.protocol.thinking_wish import ThinkingWish
from ccr.transformers.unified import offer, reasoning_of, taken_back, thoughts_in, without_thoughts

ON = ThinkingWish(True, None, "high")
HIGH = {"effort": "high", "enabled": True}


@pytest.mark.parametrize(
    ("wish", "reasoning"),
    [
        (ThinkingWish(False), {"effort": "none", "enabled": False}),
        (ThinkingWish(True), HIGH),
        (ThinkingWish(True, None, "xhigh"), HIGH),
        (ThinkingWish(True, None, "unheard"), HIGH),
        (ThinkingWish(True, None, "low"), {"effort": "low", "enabled": True}),
        (ThinkingWish(True, 1024), {"effort": "low", "enabled": True, "max_tokens": 1024}),
        (ThinkingWish(True, 8192), {"effort": "medium", "enabled": True, "max_tokens": 8192}),
        (ThinkingWish(True, 31_999), {"effort": "high", "enabled": True, "max_tokens": 31_999}),
    ],
)
def test_wishes(wish: ThinkingWish, reasoning: dict[str, Any]) -> None:
    assert reasoning_of(wish) == reasoning


@pytest.mark.parametrize(
    ("chat", "offered"),
    [
        ({"model": "m", "reasoning_effort": "low", "stream": True}, ["model", "reasoning", "stream"]),
        ({"model": "m", "stream": True}, ["model", "stream", "reasoning"]),
        ({"model": "m", "thinking": {"type": "adaptive"}}, ["model", "thinking", "reasoning"]),
    ],
)
def test_what_nobody_used_is_taken_back_in_its_place(chat: Any, offered: list[str]) -> None:
    made = offer(chat, ON)
    assert list(made.chat) == offered
    assert made.chat["reasoning"] == HIGH  # type: ignore[typeddict-item] # the npm router's key
    back = taken_back(made.chat, made)
    assert back == chat
    assert list(back or ()) == list(chat)


@pytest.mark.parametrize("after", [{"model": "m"}, {"model": "m", "reasoning": {"effort": "low"}}])
def test_what_a_plugin_used_is_its_own(after: Any) -> None:
    made = offer({"model": "m", "messages": []}, ON)
    assert taken_back(after, made) is None


@pytest.mark.parametrize(("chat", "wish"), [({"reasoning": {"effort": "low"}}, ON), ({"model": "m"}, None)])
def test_nothing_is_offered_over_the_clients_own_words(chat: Any, wish: ThinkingWish | None) -> None:
    made = offer(chat, wish)
    assert made.chat is chat
    assert taken_back(chat, made) is chat


def test_the_historys_thinking() -> None:
    thinking = {"content": "hm", "signature": ""}
    chat: Any = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi", "thinking": thinking},
            {"role": "assistant", "content": "yes", "thinking": thinking},
            {"role": "assistant", "content": "no", "thinking": {"content": "other", "signature": ""}},
            {"role": "assistant", "content": "no", "thinking": {**thinking, "more": 1}},
        ],
    }
    thoughts = thoughts_in(chat)
    assert thoughts == {("hm", ""), ("other", "")}
    kept = without_thoughts(chat, frozenset({("hm", "")}))
    assert [("thinking" in message) for message in kept["messages"]] == [True, False, True, True]
    assert without_thoughts(kept, frozenset({("hm", "")})) is kept
