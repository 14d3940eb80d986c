"""Which program is claude, and becoming it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Secret
from ccr.errors import StartError
from ccr.launcher.client_settings import settings_of, settings_text, with_settings
from ccr.launcher.environment import Target
from ccr.launcher.launch import become_claude, claude_program, program_on_path

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(base_url="http://127.0.0.1:1", key=Secret("k"))


def program(folder: Path, name: str = "claude", *, mode: int = 0o755) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)
    return str(file)


def test_the_first_on_path_that_can_be_run(tmp_path: Path) -> None:
    program(tmp_path / "a", mode=0o644)
    (tmp_path / "b" / "claude").mkdir(parents=True)
    wanted = program(tmp_path / "c")
    environ = {"PATH": ":".join(str(tmp_path / name) for name in "abcd")}
    assert program_on_path("claude", environ) == wanted
    assert claude_program(Config(), environ) == wanted


def test_the_configured_program_comes_first(tmp_path: Path) -> None:
    configured, other = program(tmp_path / "a", "one"), program(tmp_path / "b", "two")
    environ = {"PATH": str(tmp_path / "a"), "CLAUDE_PATH": other}
    assert claude_program(Config(claude_path=configured), environ) == configured
    assert claude_program(Config(), environ) == other
    assert claude_program(Config(claude_path="one"), environ) == configured


def test_a_tilde_is_home(tmp_path: Path) -> None:
    wanted = program(tmp_path, "mine")
    assert claude_program(Config(claude_path="~/mine"), {"HOME": str(tmp_path)}) == wanted


@pytest.mark.parametrize("path", [None, "/nowhere/claude"])
def test_a_missing_program_is_one_line(tmp_path: Path, path: str | None) -> None:
    with pytest.raises(StartError) as caught:
        claude_program(Config(claude_path=path), {"PATH": str(tmp_path)})
    assert caught.value.exit_code == 127
    assert "\n" not in str(caught.value)
    assert "npm install -g @anthropic-ai/claude-code" in str(caught.value)
    assert (path or "not installed") in str(caught.value)


def test_what_cannot_be_run(tmp_path: Path) -> None:
    file = tmp_path / "claude"
    file.write_text("no program")
    file.chmod(0o755)
    with pytest.raises(StartError, match="cannot be run") as caught:
        become_claude(str(file), TARGET, {}, [])
    assert caught.value.exit_code == 126


STATUS_LINE = {"type": "command", "command": "ccr statusline", "padding": 0}


@pytest.mark.parametrize(
    ("enabled", "given", "handed"),
    [
        (True, ["-p", "x"], ["--settings", json.dumps({"statusLine": STATUS_LINE}), "-p", "x"]),
        (False, ["-p", "x"], ["-p", "x"]),
        (True, ["--settings", "{}"], ["--settings", "{}"]),
        (True, ["-p", "--settings=x"], ["-p", "--settings=x"]),
    ],
)
def test_the_status_line_goes_with_the_settings(enabled: bool, given: list[str], handed: list[str]) -> None:
    config = Config(status_line={"enabled": enabled})
    assert with_settings(given, settings_text(settings_of(config))) == handed


def test_a_presets_status_line_is_asked_for_by_its_name() -> None:
    settings = settings_of(Config(status_line={"enabled": True}), "team")
    assert settings["statusLine"]["command"] == "ccr statusline team"


def test_scripts_get_no_terminal_and_no_input(tmp_path: Path) -> None:
    program = (
        "from ccr.config.model import Secret\n"
        "from ccr.launcher.environment import Target\n"
        "from ccr.launcher.launch import become_claude\n"
        "target = Target(base_url='http://127.0.0.1:1', key=Secret('k'), is_interactive=False)\n"
        "become_claude('/bin/sh', target, {'TERM': 'xterm'},"
        "    ['-c', 'echo $CI $FORCE_COLOR $NODE_NO_READLINE $TERM; cat'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="text", capture_output=True, text=True, check=True
    )
    assert done.stdout == "true 0 1 dumb\n"


def test_arguments_are_handed_over_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[object] = []

    def fake(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        handed.extend([path, arguments, environment["ANTHROPIC_AUTH_TOKEN"]])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", fake)
    with pytest.raises(SystemExit):
        become_claude(sys.executable, TARGET, {}, ["-p", "a b", "--", "$HOME"])
    assert handed == [sys.executable, [sys.executable, "-p", "a b", "--", "$HOME"], "k"]
