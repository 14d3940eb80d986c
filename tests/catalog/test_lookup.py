"""Names of models, and what the table says about them."""

from __future__ import annotations

import datetime as dt

import pytest

from ccr.catalog import model_facts, traits_of
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
        ("gpt-ossified", None),
        ("databricks-meta-llama-3-3-70b-instruct", "meta-llama-3"),
        ("claude-sonnet-9", None),
        ("dbx-opus", None),
        ("gpt-5", None),
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
    ("name", "family", "takes_images"),
    [
        ("databricks-gpt-5", "gpt", True),
        ("databricks-gpt-oss-20b", "gpt", False),
        ("gemini-3-8", "gemini", True),
        ("databricks-meta-llama-3-1-8b-instruct", "llama", False),
        ("databricks-llama-4-maverick", "llama", True),
        ("my-model", "my", True),
    ],
)
def test_models_of_other_vendors_are_plain_chat_models(name: str, family: str, *, takes_images: bool) -> None:
    traits = traits_of(name)
    assert (traits.family, traits.takes_images) == (family, takes_images)
    assert not traits.takes_cache_control
    assert not traits.takes_documents
    assert not traits.takes_effort
    assert not traits.thinking


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
        if facts.thinking == {"adaptive"}:
            assert facts.takes_effort, name
            assert not facts.takes_sampling, name
