"""``ccr env`` (``ccr activate``): for people who start claude themselves, and for IDEs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ccr.cli.stranger import configured_address, proven_address
from ccr.config.keys import local_key
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.errors import StartError
from ccr.launcher.environment import claude_changes
from ccr.launcher.launch import target_of
from ccr.launcher.shell import SHELLS, lines_from_changes, shell_of

if TYPE_CHECKING:
    from ccr.config.model import Config, Secret
    from ccr.launcher.shell import Shell


@click.command()
@click.option("--shell", type=click.Choice(SHELLS), help="Whose syntax to print; by default that of $SHELL.")
@click.option("--alias", is_flag=True, help="Also define the alias cc for `ccr code`.")
def env(*, shell: Shell | None, alias: bool) -> None:
    """Print shell lines that point Claude Code at the service: eval "$(ccr env)".

    The lines hold the local key. Nothing is started; fish: ccr env --shell fish | source.
    """
    paths = Paths.from_environ(os.environ)
    config = load_config(paths, os.environ)
    key = local_key(paths, config)
    target = target_of(config, _address(paths, config, key), key)
    changes = claude_changes(os.environ, target)
    for line in lines_from_changes(changes, shell or shell_of(os.environ), with_alias=alias):
        click.echo(line)


def _address(paths: Paths, config: Config, key: Secret) -> str:
    """Return the service's address, also while it does not run."""
    address = proven_address(paths, config, key)
    if address is not None:
        return address
    if config.port == 0:
        raise StartError("PORT is 0, so the address is known only while the service runs: `ccr start` first.")
    click.echo("ccr is not running yet: `ccr start` starts it", err=True)
    return configured_address(config)
