"""``ccr version``."""

from __future__ import annotations

import click

import ccr


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"ccr {ccr.__version__}")
