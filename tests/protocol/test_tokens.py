from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.anthropic import MessagesRequest, decode_messages_request
from ccr.protocol.media_tokens import IMAGE_TOKENS
from ccr.protocol.tokens import MAX_FACTOR, MIN_FACTOR, TokenEstimator, count_request_tokens
from ccr.protocol.usage import Usage

ENGLISH = "The quick brown fox jumps over the lazy dog. " * 100  # 1,000 tokens of a usual tokenizer


def request(*content: Any, model: str = "claude-x", **more: Any) -> MessagesRequest:
    body = {
        "model": model,
        "max_tokens": 1,
        "messages": [{"role": "user", "content": c} for c in content],
        **more,
    }
    return decode_messages_request(json.dumps(body).encode())


def tokens_of(block: dict[str, Any]) -> int:
    return count_request_tokens(request([block])) - count_request_tokens(request(""))


BLOCKS: dict[str, tuple[dict[str, Any], int, int]] = {
    "text": ({"type": "text", "text": ENGLISH}, 1000, 1400),
    "Chinese": ({"type": "text", "text": "世界" * 500}, 700, 1300),
    "no text": ({"type": "text", "text": ""}, 0, 5),
    "thinking": ({"type": "thinking", "thinking": ENGLISH, "signature": "x" * 9999}, 1000, 1400),
    "thinking that is not shown": ({"type": "thinking", "thinking": "", "signature": "A" * 6000}, 900, 1100),
    "redacted": ({"type": "redacted_thinking", "data": "A" * 6000}, 900, 1100),
    "tool_use": ({"type": "tool_use", "id": "a", "name": "Read", "input": {"a": "x" * 3000}}, 900, 1100),
    "tool_result": ({"type": "tool_result", "tool_use_id": "a", "content": ENGLISH}, 1000, 1400),
    "tool_result, blocks": (
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": ENGLISH}]},
        1000,
        1400,
    ),
    "tool_result, one block": (
        {"type": "tool_result", "tool_use_id": "a", "content": {"type": "text", "text": ENGLISH}},
        1000,
        1400,
    ),
    "image": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 500_000}},
        IMAGE_TOKENS,
        IMAGE_TOKENS + 10,
    ),
    "image by its address": ({"type": "image", "source": {"type": "url", "url": "https://x/"}}, 1600, 1610),
    "document by its address": ({"type": "document", "source": {"type": "url", "url": "https://x/"}}, 0, 10),
    "PDF": (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 750_000},
        },
        10_000,
        30_000,
    ),
    "text document": (
        {"type": "document", "title": "t", "source": {"type": "text", "data": ENGLISH}},
        1000,
        1400,
    ),
    "document of blocks": (
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": ENGLISH}]}},
        1000,
        1400,
    ),
    "search result": ({"type": "search_result", "source": ENGLISH, "title": "t"}, 1000, 1400),
}


@pytest.mark.parametrize(("block", "least", "most"), BLOCKS.values(), ids=BLOCKS.keys())
def test_every_kind_of_content_counts(block: dict[str, Any], least: int, most: int) -> None:
    assert least <= tokens_of(block) <= most


def test_system_and_tools_count() -> None:
    plain = count_request_tokens(request("x"))
    assert 1000 < count_request_tokens(request("x", system=ENGLISH)) - plain < 1400
    assert (
        1000 < count_request_tokens(request("x", system=[{"type": "text", "text": ENGLISH}])) - plain < 1400
    )
    tool = {
        "name": "T",
        "description": ENGLISH,
        "input_schema": {"type": "object", "description": "x" * 3000},
    }
    assert 2300 < count_request_tokens(request("x", tools=[tool])) - plain < 2800


def test_an_estimate_is_at_least_one_token() -> None:
    assert TokenEstimator().estimate(request("")) >= 1


def test_it_learns_a_factor_for_each_model() -> None:
    estimator = TokenEstimator()
    asked = request(ENGLISH)
    first = estimator.estimate(asked)
    estimator.learn("claude-x", first, 2 * first)
    assert estimator.estimate(asked) == pytest.approx(2 * first, abs=1)
    assert estimator.estimate(asked, model="other") == first
    for _ in range(30):
        estimator.learn("claude-x", estimator.estimate(asked), round(1.2 * first))
    assert estimator.estimate(asked) == pytest.approx(1.2 * first, rel=0.01)


def test_one_odd_count_does_not_spoil_the_factor() -> None:
    estimator = TokenEstimator()
    asked = request(ENGLISH)
    raw = estimator.estimate(asked)
    for actual in (10**9, 1):
        estimator.learn("claude-x", estimator.estimate(asked), actual)
        assert MIN_FACTOR * raw - 1 <= estimator.estimate(asked) <= MAX_FACTOR * raw + 1


@pytest.mark.parametrize(("estimated", "actual"), [(0, 500), (99, 500), (500, 0), (500, -1)])
def test_counts_that_say_nothing_are_ignored(estimated: int, actual: int) -> None:
    estimator = TokenEstimator()
    asked = request(ENGLISH)
    before = estimator.estimate(asked)
    estimator.learn("claude-x", estimated, actual)
    assert estimator.estimate(asked) == before


def test_only_the_newest_models_are_remembered() -> None:
    estimator = TokenEstimator(max_models=2)
    asked = request(ENGLISH)
    raw = estimator.estimate(asked)
    for model in ("a", "b", "a", "c"):
        estimator.learn(model, raw, 2 * raw)
    assert [round(estimator.estimate(asked, model=m) / raw) for m in ("a", "b", "c")] != [1, 1, 1]
    assert estimator.estimate(asked, model="b") == raw


def test_the_actual_count_is_that_of_all_prompt_tokens() -> None:
    assert Usage(10, 99, 20, 30).prompt_tokens == 60
