"""``ccr models``: which models are configured, which the workspaces serve, and what is known of them."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time

import click


@click.command()
@click.option("--refresh", is_flag=True, help="Ask the workspaces again; otherwise only ones never asked.")
@click.option("--offline", is_flag=True, help="Ask nobody; show what is configured and remembered.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def models(*, refresh: bool, offline: bool, as_json: bool) -> None:
    """List the configured and the served models: context, thinking, price, state."""
    import asyncio

    from ccr.config.load import load_config
    from ccr.config.paths import Paths
    from ccr.setup.model_list import model_rows, rows_as_json, rows_as_text
    from ccr.setup.refresh import refreshed
    from ccr.setup.workspaces import workspaces_of
    from ccr.upstream.discovered import read_discovered

    if refresh and offline:
        raise click.UsageError("--refresh and --offline exclude each other")
    paths = Paths.from_environ(os.environ)
    config = load_config(paths, os.environ)
    problems: list[str] = []
    if offline:
        known = read_discovered(paths)
        remembered = {url: known[url] for url in workspaces_of(config) if url in known}
    else:
        remembered, problems = asyncio.run(
            refreshed(paths, config, os.environ, is_forced=refresh, clock=time.time)
        )
    rows = model_rows(config, remembered, dt.datetime.now(dt.UTC).date())
    if as_json:
        click.echo(json.dumps(rows_as_json(rows, remembered) | {"problems": problems}, indent=2))
    else:
        click.echo(rows_as_text(rows))
        click.echo("\n* the default route (Router.default)")
        for url, found in remembered.items():
            when = dt.datetime.fromtimestamp(found.at, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
            click.echo(f"{url} was asked {when}; `ccr models --refresh` asks again.")
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    if refresh and problems:
        sys.exit(1)
