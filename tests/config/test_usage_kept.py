"""How much of finished requests is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import UsageKept
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

PROVIDER = {"name": "p", "api_base_url": "https://a.test/v1/chat", "api_key": "k", "models": ["m"]}


def load(**keys: Any) -> tuple[UsageKept, dict[str, Any]]:
    document = {"Providers": [PROVIDER], "Router": {"default": "p,m"}, **keys}
    config = config_from_bytes(json.dumps(document).encode(), {})
    assert not config.warnings
    return config.usage, values_from_config(config)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, UsageKept(is_kept=True, days=400, max_bytes=200_000_000)),
        ({"USAGE": "false"}, UsageKept(is_kept=False)),
        ({"USAGE_DAYS": 7, "USAGE_MAX_MB": "1"}, UsageKept(days=7, max_bytes=1_000_000)),
    ],
)
def test_what_is_kept(written: dict[str, Any], expected: UsageKept) -> None:
    kept, shown = load(**written)
    assert kept == expected
    assert load(**{key: shown[key] for key in ("USAGE", "USAGE_DAYS", "USAGE_MAX_MB")})[0] == expected


@pytest.mark.parametrize(
    ("key", "value"), [("USAGE", "sometimes"), ("USAGE_DAYS", 0), ("USAGE_MAX_MB", 0), ("USAGE_DAYS", "x")]
)
def test_what_is_no_bound(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        load(**{key: value})
    assert [problem.key for problem in raised.value.problems] == [key]
