"""``ccr code``: every argument is claude's, also ``--help``, ``--version`` and ``--``."""

from __future__ import annotations

import os

import click

from ccr.cli.warnings import show_warnings
from ccr.config.keys import local_key
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon.control import start
from ccr.launcher.launch import become_claude, claude_program, target_of


class Verbatim(click.Command):
    """A command without a parser: what the person wrote is what it gets."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take all arguments as they are."""
        ctx.params["arguments"] = tuple(args)
        return []


@click.command(cls=Verbatim, add_help_option=False)
def code(arguments: tuple[str, ...]) -> None:
    """Start the service when it does not run, make sure it is ours, and become `claude`."""
    paths = Paths.from_environ(os.environ)
    config = load_config(paths, os.environ)
    program = claude_program(config, os.environ)
    started = start(paths, os.environ, config)  # returns only what has proven to hold the key
    if started.is_new:
        show_warnings(config, with_notes=False)
    target = target_of(config, started.state.address, local_key(paths, config))
    become_claude(program, target, os.environ, arguments)
