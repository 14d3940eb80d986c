"""``ccr statusline``: exit code 0 and one line, whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ccr.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

TOLD = json.dumps({"cwd": "/x/proj"})


def modules(text: str) -> str:
    return json.dumps({"StatusLine": {"default": {"modules": [{"type": "x", "text": text}]}}})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCR_HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "config.json").write_text(modules("mine {{workDirName}}"))
    (tmp_path / "presets" / "team").mkdir(parents=True)
    (tmp_path / "presets" / "team" / "manifest.json").write_text(modules("team {{workDirName}}"))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "stdin", "line"),
    [
        ([], TOLD, "mine proj"),
        (["team"], TOLD, "team proj"),
        (["none"], TOLD, "mine proj"),
        (["../presets/team"], TOLD, "mine proj"),
        ([], "no json", ""),
    ],
)
def test_lines(arguments: list[str], stdin: str, line: str) -> None:
    done = CliRunner().invoke(cli, ["statusline", *arguments], input=stdin)
    assert (done.exit_code, done.stdout) == (0, f"{line}\n")


def test_the_line_of_a_preset_that_has_run_is_that_of_its_service(home: Path) -> None:
    service = home / "presets" / "team" / "service"
    service.mkdir()
    (service / "config.json").write_text(modules("filled {{workDirName}}"))
    assert CliRunner().invoke(cli, ["statusline", "team"], input=TOLD).stdout == "filled proj\n"


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CCR_HOME")
    monkeypatch.delenv("HOME")
    done = CliRunner().invoke(cli, ["statusline"], input=TOLD)
    assert (done.exit_code, done.stdout) == (0, "\n")
    assert "HOME" in done.stderr


@pytest.mark.parametrize(
    ("redirections", "told"),
    [
        ("<&-", ""),
        ("</dev/full >/dev/full", ""),
        (f"<<<'{TOLD}' >/dev/full", "No space"),
        (f"<<<'{TOLD}' >&-", ""),
    ],
)
def test_nothing_that_the_shell_does_fails_the_client(redirections: str, told: str) -> None:
    command = f'"{sys.executable}" -c "from ccr.cli import main; main()" statusline {redirections}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
