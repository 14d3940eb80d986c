"""What a provider is asked for at most, and takes at most."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from ccr.config.model import Config

WORKSPACE = "https://dbc-1.cloud.databricks.com/serving-endpoints/a/invocations"
GATEWAY = "https://dbc-1.cloud.databricks.com/ai-gateway/anthropic/v1/messages"
OTHER = "https://api.example.test/v1/chat/completions"


def load(**provider: Any) -> Config:
    written = {"name": "p", "api_base_url": WORKSPACE, "api_key": "k", "models": ["a", "b"], **provider}
    document = {"Providers": [written], "Router": {"default": "p,a"}}
    return config_from_bytes(json.dumps(document).encode(), {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, {}),
        ({"max_tokens": None}, {}),
        ({"max_tokens": ""}, {}),
        ({"max_tokens": 8192}, {"a": 8192, "b": 8192}),
        ({"max_tokens": "8192"}, {"a": 8192, "b": 8192}),
        ({"max_tokens": {}}, {}),
        ({"max_tokens": {"b": 4096}}, {"b": 4096}),
        ({"max_tokens": {"a": "1", "b": None}}, {"a": 1}),
    ],
)
def test_max_tokens(written: dict[str, Any], expected: dict[str, int]) -> None:
    config = load(**written)
    assert config.providers[0].max_tokens == expected
    assert not config.warnings
    shown = values_from_config(config)["Providers"][0]
    assert load(**{**shown, "api_key": "k"}).providers[0] == config.providers[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, 4_000_000),
        ({"api_base_url": GATEWAY}, 4_000_000),
        ({"api_base_url": OTHER}, None),
        ({"api_base_url": OTHER, "max_payload_bytes": 1_000_000}, 1_000_000),
        ({"max_payload_bytes": "16000000"}, 16_000_000),
        ({"max_payload_bytes": 0}, None),
    ],
)
def test_max_payload_bytes(written: dict[str, Any], expected: int | None) -> None:
    config = load(**written)
    assert config.providers[0].max_payload_bytes == expected
    assert values_from_config(config)["Providers"][0]["max_payload_bytes"] == (expected or 0)


def test_fetch_images() -> None:
    assert not load().providers[0].fetch_images
    assert load(fetch_images="true").providers[0].fetch_images
    assert values_from_config(load(fetch_images=True))["Providers"][0]["fetch_images"] is True


@pytest.mark.parametrize(
    ("written", "key", "found", "allowed"),
    [
        ({"max_tokens": 0}, "max_tokens", "0", "a whole number from 1 to 10000000"),
        ({"max_tokens": -1}, "max_tokens", "-1", "a whole number from 1 to 10000000"),
        ({"max_tokens": True}, "max_tokens", "true", "a whole number from 1 to 10000000"),
        ({"max_tokens": "many"}, "max_tokens", "'many'", "a whole number from 1 to 10000000"),
        ({"max_tokens": [1]}, "max_tokens", "a list", "a whole number from 1 to 10000000"),
        ({"max_tokens": {"a": 0}}, "max_tokens.a", "0", "a whole number from 1 to 10000000"),
        (
            {"max_tokens": {"c": 10}},
            "max_tokens.c",
            "a model that the provider does not list",
            "one of a, b",
        ),
        (
            {"max_payload_bytes": -1},
            "max_payload_bytes",
            "-1",
            "a whole number from 0 to 1000000000",
        ),
        ({"fetch_images": "perhaps"}, "fetch_images", "'perhaps'", "true or false"),
    ],
)
def test_problems(written: dict[str, Any], key: str, found: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(**written)
    [problem] = caught.value.problems
    assert (problem.key, problem.found, problem.allowed) == (f"Providers[0].{key}", found, allowed)
