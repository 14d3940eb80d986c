"""``REWRITE_SYSTEM_PROMPT``: which files are taken, and what is said of the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.own_prompt import MAX_BYTES
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

PROVIDER = {"name": "local", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["m"]}


def load(folder: Path, name: Any) -> Config:
    values = {"Providers": [PROVIDER], "Router": {"default": "local,m"}, "REWRITE_SYSTEM_PROMPT": name}
    return config_from_bytes(json.dumps(values).encode(), {}, file=str(folder / "config.json"))


def test_a_file_beside_the_configuration_in_the_home_folder_or_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "prompt.md"
    file.write_text("Be bríef.\n")
    for name in ("prompt.md", "~/prompt.md", str(file)):
        config = load(tmp_path, name)
        assert config.system_prompt is not None
        assert (config.system_prompt.path, config.system_prompt.text) == (file, "Be bríef.\n")
        assert values_from_config(config)["REWRITE_SYSTEM_PROMPT"] == str(file)
        assert config.warnings == ()


@pytest.mark.parametrize("name", ["", None])
def test_none(tmp_path: Path, name: str | None) -> None:
    config = load(tmp_path, name)
    assert config.system_prompt is None
    assert values_from_config(config)["REWRITE_SYSTEM_PROMPT"] == ""


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "which cannot be read (No such file or directory)"),
        (b"", "which is empty"),
        (b" \n", "which is empty"),
        (b"\xff\xfe", "which is no text"),
        (b"x" * (MAX_BYTES + 1), "which is too large"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "prompt.md").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "prompt.md")
    (problem,) = caught.value.problems
    assert problem.key == "REWRITE_SYSTEM_PROMPT"
    assert problem.found == f"'prompt.md', {fault}"
    assert "UTF-8" in problem.allowed


def test_a_value_that_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="REWRITE_SYSTEM_PROMPT"):
        load(tmp_path, ["prompt.md"])
