"""What workspaces serve beside what is configured, and which provider may be asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Provider, SignIn
from ccr.config.paths import Paths
from ccr.upstream.discovered import (
    Remembered,
    models_file,
    read_discovered,
    with_discovered,
    write_discovered,
)
from ccr.upstream.discovery import ServedModel

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://w.example.test"
MODELS = (
    ServedModel(name="databricks-claude-opus-4-8", task="llm/v1/chat", state="READY"),
    ServedModel(name="databricks-gpt-5", task="llm/v1/chat"),
    ServedModel(name="databricks-gte", task="llm/v1/embeddings"),
    ServedModel(name="odd,name", task="llm/v1/chat"),
    ServedModel(name="system.ai.claude-opus-4-8", source="gateway"),
    ServedModel(name="system.ai.glm", source="gateway", api_types=("anthropic/v1/messages",)),
)


def provider(**fields: Any) -> Provider:
    given: dict[str, Any] = {
        "name": "p",
        "url": f"{HOST}/serving-endpoints/chat/completions",
        "api_key": None,
        "models": ("DATABRICKS-gpt-5",),
    }
    return Provider(**given | fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["databricks-claude-opus-4-8", "system.ai.claude-opus-4-8", "system.ai.glm"]),
        (
            {"models": ("x",), "api": "auto"},
            [
                "databricks-claude-opus-4-8",
                "databricks-gpt-5",
                "system.ai.claude-opus-4-8",
                "system.ai.glm",
            ],
        ),
        (
            {"models": ("x",), "api": "anthropic", "url": f"{HOST}/serving-endpoints/anthropic/v1/messages"},
            ["databricks-claude-opus-4-8", "system.ai.claude-opus-4-8", "system.ai.glm"],
        ),
        ({"url": "https://other.example.test/v1/chat/completions"}, []),
        ({"url": "https://other.example.test/serving-endpoints/a/invocations"}, []),
        (
            {"url": "https://x.test/v1/chat/completions", "sign_in": SignIn(host=HOST), "models": ("x",)},
            [
                "databricks-claude-opus-4-8",
                "databricks-gpt-5",
                "system.ai.claude-opus-4-8",
                "system.ai.glm",
            ],
        ),
    ],
)
def test_chat_models_of_the_provider_s_workspace_that_are_not_configured(
    fields: dict[str, Any], expected: list[str]
) -> None:
    config = Config(providers=(provider(**fields), provider(name="q", url="http://127.0.0.1:1/v1/messages")))
    found = with_discovered(config, {HOST: Remembered(1.0, MODELS)})
    assert list(found.providers[0].discovered) == expected
    assert found.providers[0].models == config.providers[0].models
    assert found.providers[1] == config.providers[1]


def test_a_damaged_file_is_an_empty_one(tmp_path: Path) -> None:
    paths = Paths.from_environ({"CCR_HOME": str(tmp_path)})
    assert read_discovered(paths) == {}
    write_discovered(paths, HOST, MODELS, at=2.0)
    assert read_discovered(paths) == {HOST: Remembered(2.0, MODELS)}
    models_file(paths).write_bytes(b'{"a": ')
    assert read_discovered(paths) == {}
