"""``ccr key``: the local key, for Claude Code's ``apiKeyHelper``."""

from __future__ import annotations

import os

import click


@click.command()
def key() -> None:
    """Print the key that clients of this ccr present, and nothing else.

    It opens this installation's service only; no provider accepts it. Where something else listens at ccr's
    address, it is not printed.
    """
    from ccr.cli.stranger import proven_address
    from ccr.config.keys import local_key
    from ccr.config.load import load_config
    from ccr.config.paths import Paths

    paths = Paths.from_environ(os.environ)
    config = load_config(paths, os.environ)
    found = local_key(paths, config)
    proven_address(paths, config, found)
    click.echo(found.reveal())
