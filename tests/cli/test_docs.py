"""What a person can set or run stands in the docs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from ccr.cli.main import COMMANDS, cli
from ccr.config import legacy, load, providers, router
from ccr.config.model import Secret
from ccr.launcher.environment import REMOVED, Target, claude_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parents[2] / "docs"
DESCRIBED_HERE = (
    "start",
    "stop",
    "restart",
    "status",
    "code",
    "env",
    "logs",
    "config",
    "model",
    "import",
    "version",
)
"""The others have pages of their own."""


def words(page: str) -> str:
    return (DOCS / page).read_text()


def options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from (name for name in parameter.opts if name.startswith("--"))
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield name
            yield from options(each)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described(name: str) -> None:
    assert f"`ccr {name}" in words("commands.md")


@pytest.mark.parametrize("name", DESCRIBED_HERE)
def test_every_option_is_described(name: str) -> None:
    with cli.make_context("ccr", ["status"]) as context:
        command = cli.get_command(context, name)
    assert command is not None
    missing = [option for option in options(command) if option not in words("commands.md")]
    assert missing == []


def test_every_variable_of_the_launcher_is_described() -> None:
    environment = claude_environment({}, Target(base_url="http://h:1", key=Secret("k"), model="m"))
    names = [*environment, *REMOVED]
    assert [name for name in names if f"`{name}`" not in words("commands.md")] == []


def test_every_key_of_the_configuration_is_described() -> None:
    keys = (
        *load.KEYS,
        *legacy.WITHOUT_EFFECT,
        *router.KEYS,
        *providers.KEYS,
        *legacy.WITHOUT_EFFECT_OF_PROVIDERS,
    )
    assert [key for key in keys if f"`{key}`" not in words("configuration.md")] == []
