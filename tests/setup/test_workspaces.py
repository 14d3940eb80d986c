"""Which workspace, who, and which of its models."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest

from ccr.config.model import Config, Provider, Secret
from ccr.setup.families import is_retired, ranked_by_family
from ccr.setup.model_list import model_rows, rows_as_text
from ccr.upstream.discovered import workspace_of
from ccr.upstream.discovery import ServedModel

TODAY = dt.date(2026, 11, 22)
RETIRING = "databricks-claude-sonnet-4"


def web_token(claims: Any) -> Secret:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"eyJhbGciOiJub25lIn0.{body}.c2ln")


@pytest.mark.parametrize(
    ("url", "workspace"),
    [
        ("https://dbc.example.com/serving-endpoints/x/invocations", "https://dbc.example.com"),
        ("https://dbc.example.com:8443/ai-gateway/anthropic/v1/messages", "https://dbc.example.com:8443"),
        ("https://api.example.com/v1/chat/completions", None),
    ],
)
def test_the_workspace_behind_a_provider(url: str, workspace: str | None) -> None:
    assert workspace_of(Provider(name="p", url=url, api_key=None, models=("m",))) == workspace


def test_the_best_of_each_family_comes_first() -> None:
    names = (
        *("databricks-claude-sonnet-4", "databricks-claude-sonnet-4-6", "databricks-claude-sonnet-4-5"),
        *("databricks-claude-sonnet-5", "my-claude-sonnet-9", "databricks-claude-opus-4-8"),
        *("databricks-claude-opus-10", "databricks-gpt-5"),
    )
    models = [
        *(ServedModel(name=name, state="READY", task="llm/v1/chat") for name in names),
        ServedModel(name="databricks-claude-haiku-4-5", state="NOT_READY"),
        ServedModel(name="system.ai.claude-haiku-4-5", source="gateway"),
        ServedModel(name="claude-haiku-embeddings", task="llm/v1/embeddings"),
    ]
    assert ranked_by_family(models, TODAY) == {
        "sonnet": [
            *("databricks-claude-sonnet-5", "databricks-claude-sonnet-4-6", "databricks-claude-sonnet-4-5"),
            "my-claude-sonnet-9",
        ],
        "opus": ["databricks-claude-opus-10", "databricks-claude-opus-4-8"],
    }


def test_a_model_is_retired_from_its_day_on() -> None:
    assert is_retired("databricks-claude-sonnet-4", dt.date(2026, 10, 9))
    assert not is_retired("databricks-claude-sonnet-4", dt.date(2026, 10, 8))
    assert not is_retired("databricks-claude-sonnet-5", TODAY)
    assert not is_retired("unknown", TODAY)


def test_a_model_that_will_retire_says_when() -> None:
    provider = Provider(name="p", url="https://x.example.com/y", api_key=None, models=(RETIRING,))
    rows = model_rows(Config(providers=(provider,)), {}, dt.date(2026, 10, 1))
    assert (rows[0].retires, rows[0].is_retired) == ("2026-10-09", False)
    assert rows_as_text(rows).endswith("-, retires 2026-10-09")
