"""Every option of the workspace, the stand-in for the CLI and the command stands in docs/sandbox.md."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from ccr.cli.sandbox import sandbox
from ccr.sandbox import FakeCli, Workspace

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


@pytest.mark.parametrize("kind", [Workspace, FakeCli])
def test_every_option_is_described(kind: type) -> None:
    options = [name for name in inspect.signature(kind).parameters if name not in {"folder", "host", "login"}]
    assert len(options) > 2
    assert [name for name in options if f"{name}=" not in PAGE and f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("kind", [Workspace, FakeCli])
def test_every_method_is_described(kind: type) -> None:
    own = [name for name in vars(kind) if not name.startswith("_") and name != "add_routes"]
    inner = {"answer", "identify", "served"}
    assert [name for name in own if name not in inner and f"`{name}" not in PAGE] == []


def test_every_option_of_the_command_is_described() -> None:
    options = [option for parameter in sandbox.params for option in parameter.opts]
    assert [option for option in options if option not in PAGE] == []
