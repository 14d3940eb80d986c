"""``ccr connect`` and ``ccr disconnect``: for IDE extensions and for plain ``claude``.

The only commands that write a file of Claude Code's, never unasked: the change is shown first and is taken
back to the byte by ``ccr disconnect``.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.config.paths import Paths
    from ccr.setup.client_settings import Ours

user_option = click.option(
    "--user", is_flag=True, help="The person's settings, ~/.claude/settings.json (default)."
)
project_option = click.option(
    "--project",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="One project's own settings, DIR/.claude/settings.local.json.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask before writing.")


@click.command()
@user_option
@project_option
@click.option("--hook", is_flag=True, help="Also start the service whenever a session starts.")
@yes_option
def connect(*, user: bool, project: Path | None, hook: bool, yes: bool) -> None:
    """Let Claude Code find ccr by itself: base URL and key helper in its settings file.

    For IDE extensions and for `claude` without `ccr code`. Shown as a diff first; `ccr disconnect` takes it
    out.
    """
    from ccr.config.load import load_config
    from ccr.config.paths import Paths
    from ccr.setup.client_settings import rivals_in, settings_from
    from ccr.setup.connection import connect as write_connection
    from ccr.setup.connection import plan_connection
    from ccr.setup.plan import diff_of

    file = _file(user=user, project=project)
    paths = Paths.from_environ(os.environ)
    ours = _ours(paths, load_config(paths, os.environ), with_hook=hook)
    change, original, before = plan_connection(paths, file, ours)
    if not change.is_needed:
        click.echo(f"{file} is connected to {ours.base_url} already.")
        return
    click.echo(diff_of(change) + "\n")
    for name in rivals_in(settings_from(change.new, str(file))):
        click.echo(f"warning: env.{name} stands in this file and goes before apiKeyHelper; take it out.")
    if not yes and not click.confirm(f"Write {file}?", default=False):
        click.echo("Nothing was written.")
        return
    write_connection(paths, change, original, before, ours)
    click.echo(f"Connected. New sessions of Claude Code use {ours.base_url}; `ccr disconnect` undoes this.")
    if not hook:
        click.echo("The service has to run: `ccr start`.")


@click.command()
@user_option
@project_option
@click.option("--all", "everywhere", is_flag=True, help="Every file that ccr has changed.")
@yes_option
def disconnect(*, user: bool, project: Path | None, everywhere: bool, yes: bool) -> None:
    """Take ccr out of Claude Code's settings file again.

    A file that was not changed since is restored to the byte; otherwise only ccr's keys go, and this is said.
    """
    from ccr.config.paths import Paths
    from ccr.setup.connection import read_connections

    paths = Paths.from_environ(os.environ)
    connections = read_connections(paths)
    files = [Path(name) for name in connections] if everywhere else [_file(user=user, project=project)]
    for file in files:
        if str(file) not in connections:
            click.echo(f"{file} is not connected.")
            continue
        _disconnect(paths, file, yes=yes)
    if not files:
        click.echo("No file is connected.")


def _disconnect(paths: Paths, file: Path, *, yes: bool) -> None:
    from ccr.setup.connection import disconnect as take_out
    from ccr.setup.connection import plan_removal, read_connections
    from ccr.setup.plan import diff_of

    connection = read_connections(paths)[str(file)]
    removal = plan_removal(file, connection)
    if removal.change is not None and not yes:
        click.echo(diff_of(removal.change) + "\n")
        if not click.confirm(f"{'Remove' if removal.deletes else 'Write'} {file}?", default=True):
            click.echo("Nothing was changed.")
            return
    take_out(paths, file, removal, connection)
    if removal.change is None:
        click.echo(f"{file} is gone; forgotten.")
    elif removal.deletes:
        click.echo(f"{file} removed; it was made for ccr.")
    elif removal.is_exact:
        click.echo(f"{file} is as it was before, to the byte.")
    else:
        click.echo(f"{file} was changed since it was connected: only ccr's keys were taken out.")
        for sentence in removal.kept:
            click.echo(f"  {sentence}")


def _file(*, user: bool, project: Path | None) -> Path:
    if user and project is not None:
        raise click.UsageError("--user and --project exclude each other")
    if project is not None:
        return project.resolve() / ".claude" / "settings.local.json"
    chosen = os.environ.get("CLAUDE_CONFIG_DIR", "").strip()
    folder = Path(chosen).absolute() if chosen else Path(os.environ.get("HOME", "/")) / ".claude"
    return folder / "settings.json"


def _ours(paths: Paths, config: Config, *, with_hook: bool) -> Ours:
    from ccr.config.address import address_from
    from ccr.daemon.listen import WILDCARDS
    from ccr.errors import StartError
    from ccr.setup.client_settings import Ours
    from ccr.setup.shell_files import ccr_command

    if config.port == 0:
        raise StartError(
            'PORT is 0, so the address changes with every start; set "PORT" in config.json first.'
        )
    command = ccr_command(os.environ)
    if os.environ.get("CCR_HOME"):
        command = f"CCR_HOME={shlex.quote(str(paths.home))} {command}"
    return Ours(
        base_url=address_from(WILDCARDS.get(config.host, config.host), config.port),
        helper=f"{command} key",
        # what a hook prints becomes part of the conversation
        hook=f"{command} start >/dev/null" if with_hook else None,
    )
