"""``ccr doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.config.paths import Paths
    from ccr.setup.finding import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.option("--no-calls", is_flag=True, help="Leave out the one-token call to each configured model.")
def doctor(*, as_json: bool, no_calls: bool) -> None:
    """Check configuration, port, identity, host, models, clock, claude; each with the remedy.

    Exit code 1 when anything failed; warnings do not count. Each configured model is asked for one token.
    """
    import asyncio

    from ccr.config.paths import Paths
    from ccr.setup.doctor import Surroundings, examine
    from ccr.setup.finding import findings_as_json, findings_as_text, is_failed

    paths = Paths.from_environ(os.environ)
    around = Surroundings(
        paths=paths,
        environ=os.environ,
        port=lambda config: port_finding(paths, config),
        claude=_claude,
        clock=time.time,
        today=dt.datetime.now(dt.UTC).date(),
    )
    findings = asyncio.run(examine(around, with_calls=not no_calls))
    if as_json:
        click.echo(json.dumps(findings_as_json(findings), indent=2))
    else:
        click.echo(findings_as_text(findings))
    if is_failed(findings):
        sys.exit(1)


def port_finding(paths: Paths, config: Config) -> Finding:
    """Find out who listens where the service is to listen."""
    from ccr.config.address import address_from
    from ccr.config.keys import local_key
    from ccr.daemon.health import ask_health
    from ccr.daemon.identity import find_service
    from ccr.daemon.listen import WILDCARDS
    from ccr.daemon.process import command_of, holder_of_port
    from ccr.setup.finding import Finding

    key = local_key(paths, config)
    found = find_service(paths, key)
    if found.condition == "running" and found.state is not None:
        return Finding("port", "ok", f"ccr serves at {found.state.address} (process {found.state.pid})")
    if config.port == 0:
        return Finding("port", "ok", "PORT is 0: any free one is taken at each start")
    address = address_from(WILDCARDS.get(config.host, config.host), config.port)
    holder = holder_of_port(config.port)
    if holder is None and ask_health(address, key).verdict == "silent":
        return Finding("port", "ok", f"{config.port} is free; ccr does not run (`ccr start`)")
    if found.condition != "stopped":
        text = f"ccr listens on {config.port}, with another key or without answering"
        return Finding("port", "failed", text, "`ccr restart`")
    who = f"process {holder} ({command_of(holder) or 'unknown'})" if holder else "a process of another user"
    remedy = 'stop it, or set "PORT" in config.json to a free one'
    return Finding("port", "failed", f"{config.port} is taken by {who}, which is not this ccr", remedy)


def _claude(config: Config | None) -> str | None:
    from ccr.config.model import Config as Settings
    from ccr.errors import StartError
    from ccr.launcher.launch import claude_program

    try:
        return claude_program(config or Settings(), os.environ)
    except StartError:
        return None
