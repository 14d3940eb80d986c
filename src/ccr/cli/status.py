"""``ccr status``: quick, without secrets, exit 0 when the service runs and 3 when not."""

from __future__ import annotations

import os

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, as_json: bool) -> None:
    """Show process, uptime, address, providers and routes. Exit code 0: running, 3: not."""
    from ccr.cli.status_report import print_status

    raise SystemExit(print_status(os.environ, as_json=as_json))
