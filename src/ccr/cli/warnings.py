"""What the configuration has to say besides problems, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ccr.config.model import Config


def show_warnings(config: Config, *, with_notes: bool = True) -> None:
    """Print warnings, and notes on how something was understood."""
    for sentence in config.warnings:
        click.echo(f"warning: {sentence}", err=True)
    for sentence in config.notes if with_notes else ():
        click.echo(f"note: {sentence}", err=True)
