"""Settings of Claude Code that lead past ccr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.launcher import detours as module
from ccr.launcher.detours import detours

if TYPE_CHECKING:
    from pathlib import Path

OURS = "http://127.0.0.1:3456"


def write(file: Path, settings: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return file


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({"ANTHROPIC_BASE_URL": "https://w.example/ai-gateway/anthropic"}, ["ANTHROPIC_BASE_URL"]),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:3457"}, ["ANTHROPIC_BASE_URL"]),
        ({"ANTHROPIC_BASE_URL": "http://[::1"}, ["ANTHROPIC_BASE_URL"]),
        ({"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_USE_VERTEX": 1}, ["_BEDROCK", "_VERTEX"]),
        ({"ANTHROPIC_BASE_URL": OURS}, []),
        ({"ANTHROPIC_BASE_URL": "http://localhost:3456/"}, []),
        ({"ANTHROPIC_BASE_URL": ""}, []),
        ({"CLAUDE_CODE_USE_BEDROCK": "0", "CLAUDE_CODE_USE_FOUNDRY": False}, []),
        ({"ANTHROPIC_MODEL": "opus"}, []),
        ([], []),
    ],
)
def test_what_leads_past(tmp_path: Path, env: Any, names: list[str]) -> None:
    file = write(tmp_path / ".claude" / "settings.json", {"env": env})
    found = detours({"HOME": str(tmp_path)}, tmp_path / "work", OURS)
    assert len(found) == len(names)
    for name, sentence in zip(names, found, strict=True):
        assert sentence.startswith(f"{file} sets ")
        assert name in sentence


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"env": 1}', "[" * 100_000])
def test_files_that_hold_no_settings(tmp_path: Path, text: str) -> None:
    write(tmp_path / ".claude" / "settings.json", text)
    assert detours({"HOME": str(tmp_path)}, tmp_path, OURS) == []


def test_every_place_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"env": {"ANTHROPIC_BASE_URL": "https://h/x"}}
    files = [
        write(tmp_path / "own" / "settings.json", settings),
        write(tmp_path / "work" / ".claude" / "settings.json", settings),
        write(tmp_path / "work" / ".claude" / "settings.local.json", settings),
        write(tmp_path / "managed.json", settings),
    ]
    monkeypatch.setattr(module, "MANAGED", (str(files[-1]),))
    environ = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "own")}
    found = detours(environ, tmp_path / "work", OURS)
    assert [sentence.partition(" sets ")[0] for sentence in found] == [str(file) for file in files]
    assert "https://h/x" not in str(found), "what stands there may hold a key"
    assert len(detours({}, tmp_path / "work", OURS)) == 3
