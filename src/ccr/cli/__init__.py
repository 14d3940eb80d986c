"""The command line. Nothing is imported here: every command pays only for what it uses."""

from __future__ import annotations


def main() -> None:
    """Run the command line and leave with its exit code."""
    from ccr.cli.main import run

    run()
