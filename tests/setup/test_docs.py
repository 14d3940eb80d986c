"""Every option of these commands, and every check, stands in docs/setup.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccr.cli.main import cli

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "setup.md").read_text()


@pytest.mark.parametrize("name", ["setup", "doctor", "models", "connect", "disconnect", "key"])
def test_every_option_is_described(name: str) -> None:
    with cli.make_context("ccr", ["status"]) as context:
        command = cli.get_command(context, name)
    assert command is not None
    assert f"`ccr {name}" in PAGE
    options = [
        option for each in command.params for option in (*each.opts, *each.secondary_opts) if "--" in option
    ]
    assert [option for option in options if option not in PAGE] == []
