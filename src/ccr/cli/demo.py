"""``ccr demo``: everything at work on this machine alone; no configuration, no account, no network."""

from __future__ import annotations

import os

import click


@click.command()
def demo() -> None:
    """Hold a conversation with a tool call through ccr, on the embedded workspace, and check every step.

    Uses `claude` when it is installed (CLAUDE_PATH, else PATH), a small client of its own otherwise. No file
    of yours is read or written. Exit code 0: every step was right.
    """
    from ccr.sandbox.demo import Demo  # imported late: no other command needs the workspace

    raise SystemExit(Demo(click.echo, os.environ).run())
