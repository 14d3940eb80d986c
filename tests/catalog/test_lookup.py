"""Names of models, and what the table says about them."""

from __future__ import annotations

import datetime as dt

import pytest

from ccr.catalog import model_facts, name_facts, traits_of
from ccr.catalog.lookup import canonical_name, catalog

NEWEST_SONNET = "claude-sonnet-5-5"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("databricks-claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("system.ai.claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("system.ai.databricks-claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic/claude-4.5-sonnet", "claude-sonnet-4-5"),
        ("provider,claude_sonnet_4_5[1m]", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        (" Claude-Sonnet-4.5 ", "claude-sonnet-4-5"),
        ("main.gold.claude-opus-5-5", "claude-opus-5-5"),
        ("team7-claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-8-fast", "claude-opus-4-8"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("databricks-claude-3-7-sonnet", "claude-sonnet-3-7"),
        ("claude-3-opus-20240229", "claude-opus-3"),
        ("dbx-opus", "claude-opus"),
        ("claude-next", "claude"),
        ("databricks-meta-llama-3-3-70b-instruct", "meta-llama-3-3-70b-instruct"),
        ("databricks-gpt-oss-120b", "gpt-oss-120b"),
        ("system.ai.gpt_5.1", "gpt-5-1"),
        ("openai/gpt-4o", "gpt-4o"),
        ("", ""),
    ],
)
def test_one_name_for_many_spellings(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("databricks-claude-sonnet-4", "claude-sonnet-4"),
        ("databricks-claude-fable-5-1", "claude-fable-5-1"),
        ("databricks-gpt-oss-120b", "gpt-oss"),
        ("gpt-oss", "gpt-oss"),
        ("gpt-ossified", "gpt"),
        ("gpt-4.1-mini", "gpt-4"),
        ("gpt-4o-mini", "gpt-4o"),
        ("prod-gpt-5", "gpt"),
        ("team-llama-3-3", "llama-3"),
        ("databricks-deepseek-v4-flash", "deepseek"),
        ("databricks-deepseek-v4-1-flash", "deepseek-v4-1"),
        ("databricks-gemini-3-8", None),
        ("databricks-meta-llama-3-3-70b-instruct", "meta-llama-3"),
        ("claude-sonnet-9", None),
        ("dbx-opus", None),
        ("gpt-5", "gpt"),
        ("chatgpt-5", None),
    ],
)
def test_rows(name: str, row: str | None) -> None:
    facts = model_facts(name)
    assert (facts.name if facts else None) == row


@pytest.mark.parametrize(
    ("name", "thinking", "takes_effort", "takes_sampling", "context_tokens", "max_output_tokens"),
    [
        ("claude-fable-5", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-opus-5-5", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-opus-4-8", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-opus-4-7", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-opus-4-6", {"adaptive", "budget"}, True, True, 1_000_000, 128_000),
        ("claude-opus-4-5", {"budget"}, False, True, 200_000, 64_000),
        ("claude-opus-4-1", {"budget"}, False, True, 200_000, 32_000),
        ("claude-sonnet-5", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-sonnet-4-6", {"adaptive", "budget"}, True, True, 1_000_000, 64_000),
        ("claude-sonnet-4-5", {"budget"}, False, True, 200_000, 64_000),
        ("claude-sonnet-4", {"budget"}, False, True, 200_000, 64_000),
        ("claude-haiku-5-5", {"adaptive"}, True, False, 1_000_000, 128_000),
        ("claude-haiku-4-5", {"budget"}, False, True, 200_000, 64_000),
        ("databricks-claude-3-7-sonnet", {"budget"}, False, True, 200_000, 64_000),
        ("claude-3-5-haiku", set(), False, True, 200_000, 8_192),
    ],
)
def test_traits_of_known_claude_models(
    name: str,
    thinking: set[str],
    *,
    takes_effort: bool,
    takes_sampling: bool,
    context_tokens: int,
    max_output_tokens: int,
) -> None:
    traits = traits_of(name)
    assert traits.family == "claude"
    assert set(traits.thinking) == thinking
    assert (traits.takes_effort, traits.takes_sampling) == (takes_effort, takes_sampling)
    assert (traits.context_tokens, traits.max_output_tokens) == (context_tokens, max_output_tokens)
    assert traits.takes_cache_control


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("claude-sonnet-9", NEWEST_SONNET),
        ("databricks-claude-sonnet", NEWEST_SONNET),
        ("claude-next", NEWEST_SONNET),
        ("dbx-opus", "claude-opus-5-5"),
        ("my-haiku", "claude-haiku-5-5"),
        ("claude-fable-6", "claude-fable-5-1"),
    ],
)
def test_an_unknown_claude_is_taken_for_the_newest_of_its_kind(name: str, like: str) -> None:
    assert traits_of(name) == traits_of(like)


@pytest.mark.parametrize(
    ("name", "family", "takes_images", "takes_reasoning_effort", "takes_sampling"),
    [
        ("databricks-gpt-5", "gpt", True, True, False),
        ("databricks-gpt-6-1-sol", "gpt", True, True, False),
        ("gpt-4o", "gpt", True, False, True),
        ("databricks-gpt-oss-20b", "gpt-oss", False, True, True),
        ("system.ai.gpt_oss_120b", "gpt-oss", False, True, True),
        ("gemini-3-8", "gemini", True, False, True),
        ("databricks-gemini-4-argon", "gemini", True, False, True),
        ("databricks-meta-llama-3-1-8b-instruct", "llama", False, False, True),
        ("databricks-llama-4-maverick", "llama", True, False, True),
        ("databricks-qwen3-next-80b-a3b-instruct", "qwen", False, False, True),
        ("databricks-qwen35-122b", "qwen", True, False, True),
        ("databricks-gemma-3-12b", "gemma", True, False, True),
        ("databricks-kimi-k3", "kimi", True, True, True),
        ("databricks-deepseek-v4-flash", "deepseek", False, True, True),
        ("databricks-deepseek-v4-1-flash", "deepseek", True, True, True),
        ("databricks-glm-5-2", "glm", False, False, True),
        ("databricks-grok-4-7", "grok", True, False, True),
        ("team-gemini", "gemini", True, False, True),
        ("my-model", "my", True, False, True),
        ("123", "", True, False, True),
    ],
)
def test_models_of_other_vendors(
    name: str, family: str, *, takes_images: bool, takes_reasoning_effort: bool, takes_sampling: bool
) -> None:
    traits = traits_of(name)
    assert (traits.family, traits.takes_images) == (family, takes_images)
    assert traits.takes_reasoning_effort is takes_reasoning_effort
    assert traits.takes_sampling is takes_sampling
    assert not traits.takes_cache_control
    assert not traits.takes_documents
    assert not traits.takes_effort
    assert not traits.thinking


def test_limits_of_other_vendors_as_far_as_they_are_known() -> None:
    limits = {
        name: (traits_of(name).context_tokens, traits_of(name).max_output_tokens)
        for name in ("gpt-oss-120b", "llama-3-3-70b", "glm-5-2", "gpt-5", "gemini-3-8")
    }
    assert limits == {
        "gpt-oss-120b": (128_000, None),
        "llama-3-3-70b": (128_000, None),
        "glm-5-2": (None, 25_000),
        "gpt-5": (None, None),
        "gemini-3-8": (None, None),
    }


@pytest.mark.parametrize(
    ("name", "always_thinks"),
    [
        ("databricks-claude-opus-5-5", True),
        ("claude-fable-5", True),
        ("claude-fable-5-1", True),
        ("claude-opus-5", False),
        ("claude-sonnet-5-5", False),
        ("gpt-5", False),
    ],
)
def test_models_whose_thinking_cannot_be_switched_off(name: str, *, always_thinks: bool) -> None:
    assert traits_of(name).always_thinks is always_thinks


@pytest.mark.parametrize(
    ("name", "canonical", "family", "version"),
    [
        ("databricks-claude-opus-4-8", "claude-opus-4-8", "opus", (4, 8)),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "sonnet", (4, 5)),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5", "haiku", (4, 5)),
        ("claude-fable-5[1m]", "claude-fable-5", "fable", (5,)),
        ("dbx-opus", "claude-opus", "opus", ()),
        ("OPUS", "claude-opus", "opus", ()),
        ("claude-2", "claude-2", "claude", (2,)),
        ("databricks-gpt-oss-120b", "gpt-oss-120b", "", ()),
    ],
)
def test_what_a_name_says(name: str, canonical: str, family: str, version: tuple[int, ...]) -> None:
    assert name_facts(name, dt.date(2026, 1, 1)) == (canonical, family, version, False)


def test_a_model_is_retired_from_its_day_on() -> None:
    days = [dt.date(2026, 10, 8), dt.date(2026, 10, 9)]
    assert [name_facts("databricks-claude-sonnet-4", day).is_retired for day in days] == [False, True]


def test_images_and_documents_of_claude() -> None:
    assert traits_of("claude-sonnet-4-5").takes_images
    assert traits_of("claude-sonnet-4-5").takes_documents
    assert not traits_of("claude-fable-5").takes_images
    assert not traits_of("claude-fable-5").takes_documents


def test_prices_and_the_day_a_model_is_switched_off() -> None:
    facts = model_facts("databricks-claude-sonnet-4")
    assert facts is not None
    assert (facts.usd_input, facts.usd_output, facts.usd_cache_read, facts.usd_cache_write) == (
        3,
        15,
        0.3,
        3.75,
    )
    assert (facts.dbu_input, facts.dbu_output, facts.cache_min_tokens) == (42.86, 214.29, 1024)
    assert facts.retires == dt.date(2026, 10, 9)


def test_the_table_agrees_with_itself() -> None:
    table = catalog()
    assert set(table.newest.values()) <= set(table.models)
    for name, facts in table.models.items():
        assert canonical_name(name) == name
        if facts.usd_input is not None and facts.dbu_input is not None:
            assert abs(facts.dbu_input * 0.07 - facts.usd_input) < 0.01, name
        if facts.usd_output is not None and facts.dbu_output is not None:
            assert abs(facts.dbu_output * 0.07 - facts.usd_output) < 0.01, name
        assert not facts.always_thinks or facts.thinking == {"adaptive"}, name
        if facts.thinking == {"adaptive"}:
            assert facts.takes_effort, name
            assert not facts.takes_sampling, name
