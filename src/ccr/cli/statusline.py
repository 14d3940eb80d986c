"""``ccr statusline [PRESET]``: Claude Code's ``statusLine`` command. Always exit code 0, always one line."""

from __future__ import annotations

import os

import click


@click.command()
@click.argument("preset", required=False)
def statusline(*, preset: str | None) -> None:
    """Print the status line for the JSON that Claude Code writes to stdin.

    In Claude Code's settings: "statusLine": {"type": "command", "command": "ccr statusline"}.
    What it shows stands in StatusLine of config.json, or of the PRESET's manifest.
    """
    from ccr.statusline.command import print_line

    print_line(preset, os.environ)
