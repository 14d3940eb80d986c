"""Transformers of the person's own, by the real commands: a file that works, and one that stops the start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.daemon.installation import PROVIDER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.installation import Installation

GOOD = """
from ccr import Transformer
class Mine(Transformer):
    name = "mine"
"""


def configured(installation: Installation, text: str) -> Path:
    installation.configure(
        Providers=[{**PROVIDER, "transformer": {"use": ["mine"]}}], transformers=[{"path": "mine.py"}]
    )
    file = installation.paths.home / "mine.py"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_a_file_beside_the_configuration(installation: Installation) -> None:
    configured(installation, GOOD)
    checked = installation.run("config", "check")
    assert checked.returncode == 0, checked.stderr
    started = installation.run("start")
    assert started.returncode == 0, started.stderr
    assert installation.run("stop").returncode == 0


@pytest.mark.parametrize("command", [["start"], ["config", "check"]])
def test_one_that_fails_stops_the_start_with_its_traceback(
    installation: Installation, command: list[str]
) -> None:
    file = configured(installation, "1 / 0")
    done = installation.run(*command)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "transformers[0].path: found mine.py, which cannot be loaded" in said
    assert f'File "{file}", line 1' in said
    assert "ZeroDivisionError" in said


def test_the_check_as_json(installation: Installation) -> None:
    configured(installation, GOOD.replace("mine", "other"))
    done = installation.run("config", "check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["key"] == "Providers (databricks).transformer.use[0]"
    assert problem["found"] == "unknown transformer 'mine'"
