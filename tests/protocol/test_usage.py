from __future__ import annotations

import msgspec
import pytest

from ccr.protocol.usage import ChatUsage, Usage, merged, usage_from_chat

TABLE = {
    "plain": ({"prompt_tokens": 30, "completion_tokens": 5}, Usage(30, 5, 0, 0)),
    "Databricks, cached": (
        {
            "prompt_tokens": 210,
            "completion_tokens": 96,
            "cache_read_input_tokens": 180,
            "cache_creation_input_tokens": 10,
        },
        Usage(20, 96, 180, 10),
    ),
    "OpenAI, cached": (
        {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 64}},
        Usage(36, 1, 64, 0),
    ),
    "both spellings": (
        {"prompt_tokens": 100, "cache_read_input_tokens": 60, "prompt_tokens_details": {"cached_tokens": 64}},
        Usage(40, 0, 60, 0),
    ),
    "prompt_tokens exclude the cached ones": (
        {
            "prompt_tokens": 5,
            "completion_tokens": 1,
            "cache_read_input_tokens": 180,
            "cache_creation_input_tokens": 7,
        },
        Usage(5, 1, 180, 7),
    ),
    "all cached": ({"prompt_tokens": 180, "cache_read_input_tokens": 180}, Usage(0, 0, 180, 0)),
    "nulls": (
        {
            "prompt_tokens": None,
            "completion_tokens": None,
            "prompt_tokens_details": None,
            "cache_read_input_tokens": None,
        },
        Usage(),
    ),
    "negative": ({"prompt_tokens": -1, "completion_tokens": -5}, Usage()),
    "nothing": ({}, Usage()),
}


@pytest.mark.parametrize(("raw", "expected"), TABLE.values(), ids=TABLE.keys())
def test_usage_from_chat(raw: dict[str, object], expected: Usage) -> None:
    assert usage_from_chat(msgspec.convert(raw, ChatUsage)) == expected


def test_later_counts_replace_earlier_ones_but_nothing_replaces_a_count() -> None:
    known = merged(None, ChatUsage(30, 1, 20, 5))
    known = merged(known, ChatUsage(30, 9))
    known = merged(known, ChatUsage(0, 0, 0, 0))
    known = merged(known, ChatUsage())
    assert known is not None
    assert usage_from_chat(known) == Usage(5, 9, 20, 5)


def test_a_usage_without_counts_is_none() -> None:
    assert merged(None, ChatUsage()) is None
    assert merged(None, ChatUsage(prompt_tokens=0)) is not None
