from __future__ import annotations

import pytest

from ccr.config.model import Config, Provider, Router
from ccr.errors import RequestError
from ccr.routing.route import MAX_NAMED, choose


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
        ("claude-sonnet-4-5-20250929", SONNET, "default"),
        ("claude-opus-4-8", SONNET, "default"),
        ("claude-opus-4-8[1m]", SONNET, "default"),
        ("claude-haiku-4-5-20251001", SONNET, "default"),
        ("OPUS", SONNET, "default"),
        ("us.anthropic.claude-sonnet-4", SONNET, "default"),
        ("sonnet [1M] ", SONNET, "default"),
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
