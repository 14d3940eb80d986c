"""What the person says that tokens cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import Prices
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from ccr.config.model import Config

ALL = {"input": 1, "output": 5.5, "cache_read": 0, "cache_write": 1.25}
FREE = Prices(input=0.0, output=0.0)


def load(prices: Any) -> Config:
    url = "https://api.example.test/v1/chat/completions"
    written = {"name": "p", "api_base_url": url, "api_key": "k", "models": ["a", "b"], "prices": prices}
    document = {"Providers": [written], "Router": {"default": "p,a"}}
    return config_from_bytes(json.dumps(document).encode(), {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, {}),
        ({}, {}),
        (ALL, dict.fromkeys("ab", Prices(input=1.0, output=5.5, cache_read=0.0, cache_write=1.25))),
        ({"input": 0, "output": 0}, {"a": FREE, "b": FREE}),
        ({"b": {"input": 0, "output": 0}}, {"b": FREE}),
    ],
)
def test_prices(written: Any, expected: dict[str, Prices]) -> None:
    config = load(written)
    assert config.providers[0].prices == expected
    assert not config.warnings
    shown = values_from_config(config)["Providers"][0]
    assert load(shown.get("prices")).providers[0] == config.providers[0]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (3, "Providers[0].prices"),
        ({"input": 3}, "Providers[0].prices.output"),
        ({"input": "3", "output": 15}, "Providers[0].prices.input"),
        ({"input": True, "output": 15}, "Providers[0].prices.input"),
        ({"input": -1, "output": 15}, "Providers[0].prices.input"),
        ({"input": 1, "output": 15, "cache_read": "x"}, "Providers[0].prices.cache_read"),
        ({"c": ALL}, "Providers[0].prices.c"),
        ({"a": 3}, "Providers[0].prices.a"),
        ({"a": {"output": 3}}, "Providers[0].prices.a.input"),
    ],
)
def test_prices_that_are_none(written: Any, key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written)
    assert [problem.key for problem in raised.value.problems] == [key]


def test_a_misspelt_key_is_named() -> None:
    (warning,) = load({**ALL, "cached_read": 1}).warnings
    assert "did you mean cache_read" in warning
