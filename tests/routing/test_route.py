from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path

import json5
import pytest

from ccr.catalog import name_facts
from ccr.config.model import Config, Provider, Router
from ccr.errors import RequestError
from ccr.routing import route
from ccr.routing.route import MAX_NAMED, Decision, name_for

facts = partial(name_facts, today=dt.date(2026, 11, 22))


def choose(model: str, config: Config) -> Decision:
    return route.choose(model, config, facts)


def provider(name: str, *models: str) -> Provider:
    return Provider(name=name, url="https://example.test/v1", api_key=None, models=models)


CONFIG = Config(
    providers=(
        provider("databricks", "databricks-claude-sonnet-4-5", "Databricks-Llama"),
        provider("Other", "gpt-oss", "databricks-llama"),
    ),
    router=Router(default="databricks,databricks-claude-sonnet-4-5"),
)
SONNET = ("databricks", "databricks-claude-sonnet-4-5")


@pytest.mark.parametrize(
    ("model", "expected", "rule"),
    [
        # the names Claude Code asks for
        ("claude-sonnet-4-5-20250929", SONNET, "same_model"),
        ("us.anthropic.claude-sonnet-4-5-v1:0", SONNET, "same_model"),
        ("Anthropic/Claude-4.5-Sonnet[1m]", SONNET, "same_model"),
        ("claude-sonnet-5", SONNET, "default"),
        ("claude-opus-4-8", SONNET, "default"),
        ("claude-opus-4-8[1m]", SONNET, "default"),
        ("claude-haiku-4-5-20251001", SONNET, "default"),
        ("claude-fable-5", SONNET, "default"),
        ("OPUS", SONNET, "default"),
        ("us.anthropic.claude-sonnet-4", SONNET, "default"),
        ("sonnet [1M] ", SONNET, "default"),
        # another name of a configured model
        ("databricks-gpt-oss", ("Other", "gpt-oss"), "same_model"),
        ("openai/GPT-OSS", ("Other", "gpt-oss"), "same_model"),
        ("system.ai.llama", ("databricks", "Databricks-Llama"), "same_model"),
        # configured names
        ("databricks-claude-sonnet-4-5", SONNET, "model"),
        ("Databricks-Claude-Sonnet-4-5[1m]", SONNET, "model"),
        ("gpt-oss", ("Other", "gpt-oss"), "model"),
        ("databricks-llama", ("databricks", "Databricks-Llama"), "model"),
        # named outright
        ("other,GPT-OSS", ("Other", "gpt-oss"), "explicit"),
        ("OTHER , databricks-llama", ("Other", "databricks-llama"), "explicit"),
        ("databricks,databricks-claude-sonnet-4-5[1m]", SONNET, "explicit"),
    ],
)
def test_a_model_finds_its_route(model: str, expected: tuple[str, str], rule: str) -> None:
    decision = choose(model, CONFIG)
    assert (decision.provider.name, decision.model) == expected
    assert decision.rule == rule


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gpt-4o", "`gpt-4o` is not configured"),
        ("nobody,gpt-oss", "no provider `nobody`"),
        ("other,claude-sonnet-4", "provider `Other` has no model `claude-sonnet-4`"),
        ("databricks,../x", "no model `../x`"),
        (",", "no provider ``"),
        ("http://169.254.169.254/,x", "no provider"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_configured(model: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose(model, CONFIG)
    assert caught.value.status == 400
    assert caught.value.should_retry is False
    assert said in caught.value.message
    assert "`databricks,databricks-claude-sonnet-4-5`, `databricks,Databricks-Llama`" in caught.value.message
    assert "config.json" in caught.value.message


def test_a_missing_default_is_named() -> None:
    with pytest.raises(RequestError, match=r"Router\.default is not set"):
        choose("claude-sonnet-4", Config(providers=CONFIG.providers))


def test_a_default_that_is_not_configured_is_named() -> None:
    config = Config(providers=CONFIG.providers, router=Router(default="gone,model"))
    with pytest.raises(RequestError, match="no provider `gone`"):
        choose("claude-sonnet-4", config)


def test_a_message_lists_a_bounded_number_of_models() -> None:
    many = Config(providers=(provider("p", *(f"m{i}" for i in range(MAX_NAMED + 5))),))
    with pytest.raises(RequestError, match="and 5 more") as caught:
        choose("x", many)
    assert caught.value.message.count("`p,m") == MAX_NAMED


def test_nothing_configured_is_said() -> None:
    with pytest.raises(RequestError, match="Configured: nothing"):
        choose("x", Config())


def configured(default: str, **models: tuple[str, ...]) -> Config:
    providers = tuple(provider(name, *names) for name, names in models.items())
    return Config(providers=providers, router=Router(default=default))


DBX = (
    "databricks-claude-sonnet-4",
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
    "databricks-gpt-5",
)


@pytest.mark.parametrize(
    ("default", "model", "expected", "rule"),
    [
        # the same model, whatever the default
        ("claude-sonnet-4-6", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "same_model"),
        ("claude-sonnet-4-6", "claude-opus-4-6[1m]", "claude-opus-4-6", "same_model"),
        ("claude-opus-4-8", "claude-haiku-4-5-20251001", "claude-haiku-4-5", "same_model"),
        # the default wins over others of its family
        ("claude-sonnet-4-5", "claude-sonnet-5", "claude-sonnet-4-5", "default"),
        ("claude-opus-4-6", "OPUS", "claude-opus-4-6", "default"),
        # the best of another family
        ("claude-sonnet-4-6", "claude-opus-5", "claude-opus-4-8", "family"),
        ("claude-sonnet-4-6", "opus[1m]", "claude-opus-4-8", "family"),
        ("claude-opus-4-8", "Claude-Sonnet-9", "claude-sonnet-4-6", "family"),
        ("claude-opus-4-8", "claude-haiku-3", "claude-haiku-4-5", "family"),
        # nobody answers at a retired model's endpoint
        ("claude-opus-4-8", "claude-sonnet-4-20250514", "claude-sonnet-4-6", "family"),
        ("claude-opus-4-8", "databricks-claude-sonnet-4", "claude-sonnet-4", "model"),
        ("claude-sonnet-4", "claude-sonnet-4-20250514", "claude-sonnet-4", "default"),
        # no model of the family
        ("claude-sonnet-4-6", "claude-fable-5", "claude-sonnet-4-6", "default"),
        ("claude-sonnet-4-6", "claude-2.1", "claude-sonnet-4-6", "default"),
        # another vendor's model is the default of everything
        ("gpt-5", "claude-opus-4-8", "gpt-5", "default"),
        ("gpt-5", "haiku", "gpt-5", "default"),
        ("gpt-5", "databricks-claude-haiku-4-5", "claude-haiku-4-5", "model"),
    ],
)
def test_names_of_claude(default: str, model: str, expected: str, rule: str) -> None:
    decision = choose(model, configured(f"dbx,databricks-{default}", dbx=DBX))
    assert (decision.model, decision.rule) == (f"databricks-{expected}", rule)


@pytest.mark.parametrize("model", ["claude-opus-4-8", "haiku", "claude-sonnet-4-5-20250929", "claude-2"])
def test_the_only_model_serves_every_name(model: str) -> None:
    for only in ("databricks-claude-sonnet-4", "deepseek-chat"):
        assert choose(model, configured(f"p,{only}", p=(only,))).model == only


def test_the_provider_of_the_default_is_preferred() -> None:
    config = configured(
        "east,claude-sonnet-4-6",
        west=("claude-opus-5-5", "claude-opus-4-6", "claude-haiku-5-5"),
        east=("claude-sonnet-4-6", "claude-opus-4-6", "claude-opus-4-5"),
    )
    found = {name: choose(name, config) for name in ("opus", "claude-opus-4-6-20251101", "haiku")}
    assert {name: (each.provider.name, each.model) for name, each in found.items()} == {
        "opus": ("east", "claude-opus-4-6"),
        "claude-opus-4-6-20251101": ("east", "claude-opus-4-6"),
        "haiku": ("west", "claude-haiku-5-5"),
    }


def test_a_configuration_with_claude_at_hand_but_another_default_is_left_alone() -> None:
    config = configured(
        "deepseek,deepseek-chat",
        openrouter=("anthropic/claude-sonnet-4.5", "google/gemini-2.5-pro"),
        deepseek=("deepseek-chat", "deepseek-reasoner"),
    )
    for name in ("claude-sonnet-4-5-20250929", "claude-opus-4-8", "claude-haiku-4-5-20251001"):
        assert choose(name, config)[1:] == ("deepseek-chat", "default")
    assert choose("anthropic/claude-sonnet-4.5", config)[1:] == ("anthropic/claude-sonnet-4.5", "model")


def test_equal_models_are_served_by_the_first_and_unversioned_names_come_last() -> None:
    config = configured(
        "p,claude-sonnet-5", p=("claude-sonnet-5", "dbx-opus", "a.claude-opus-4-8", "claude_opus_4_8")
    )
    assert choose("opus", config).model == "a.claude-opus-4-8"
    assert choose("claude-opus-4-8-20260101", config).model == "a.claude-opus-4-8"


@pytest.mark.parametrize("asked", ["east,m", "west,m", "West,Only", "east,a,b"])
def test_the_shortest_name_that_leads_to_a_route(asked: str) -> None:
    config = configured("west,m", west=("M", "Only"), east=("m", "a,b"))
    decision = choose(asked, config)
    name = name_for(decision.provider, decision.model, config)
    assert choose(name, config)[:2] == decision[:2]
    assert name == {"west,m": "M", "West,Only": "Only"}.get(asked, asked)


def test_the_example_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text("utf-8")
    example = page.partition("```json5")[2].partition("```")[0]
    raw = json5.loads(example)
    (listed,) = raw["Providers"]
    config = configured(raw["Router"]["default"], databricks=tuple(listed["models"]))
    rows = [
        row.split("`")[1::2]
        for row in page.partition("It gets")[2].partition("\n\n")[0].splitlines()
        if row.startswith("| `")
    ]
    assert len(rows) == 6
    assert [[asked, *choose(asked, config)[1:]] for asked, *_ in rows] == rows
