"""The end of ``ccr setup``: showing what will be written, writing it, and what comes next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.config.paths import Paths
    from ccr.setup.session import Session


def write_shown(session: Session, chosen: Sequence[str], *, asks: bool) -> bool:
    """Show the file and write it; False when the person declined."""
    import datetime as dt

    from ccr.cli.written import show_written
    from ccr.setup.plan import diff_of, write_config

    session.config(chosen)  # what would not be read back is not written
    change = session.change(chosen)
    if not change.is_needed:
        click.echo(f"Unchanged  {session.path} says this already.")
        return True
    click.echo(f"\n{diff_of(change)}\n")
    if change.old is not None and _has_comments(change.old):
        click.echo("note: comments in the present file are not carried over; they stay in the backup.")
    if asks and not click.confirm(f"Write {session.path}?", default=True):
        click.echo("Nothing was written.")
        return False
    backup = write_config(change, stamp=dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f"))
    show_written(session.path, backup)
    return True


def _has_comments(data: bytes) -> bool:
    import json

    try:
        json.loads(data)
    except ValueError:
        return True
    return False


def install_claude_if_missing(paths: Paths) -> None:
    """Install Claude Code unless `ccr code` finds one. Raises StartError."""
    from ccr.config.load import load_config
    from ccr.config.model import Config
    from ccr.errors import StartError
    from ccr.launcher.launch import claude_program
    from ccr.setup.npm import install_claude

    config = load_config(paths, os.environ) if paths.config_file.exists() else Config()
    try:
        program = claude_program(config, os.environ)
    except StartError:
        click.echo("Installing Claude Code with npm …")
        click.echo(f"Installed  {install_claude(os.environ)}")
    else:
        click.echo(f"Claude     {program} is there already.")


def add_alias(*, asks: bool) -> None:
    """Show and write the alias to the shell files that do not have it."""
    from ccr.config.private import make_folder
    from ccr.setup.plan import diff_of, write_kept
    from ccr.setup.shell_files import alias_changes

    changes = alias_changes(os.environ, Path(os.environ.get("HOME", "/")))
    if not changes:
        click.echo("Unchanged  the alias cc is in the shell files already.")
    for change in changes:
        click.echo(f"\n{diff_of(change)}\n")
        if asks and not click.confirm(f"Write {change.path}?", default=True):
            continue
        make_folder(change.path.parent)
        write_kept(change.path, change.new, mode=0o644)
        click.echo(f"Written    {change.path} (new shells have the alias)")


def tell_next_steps(paths: Paths, session: Session, chosen: Sequence[str]) -> None:
    """Say what the person does now."""
    from ccr.config.keys import local_key
    from ccr.daemon.identity import find_service

    variables = [value for value in session.identity.values() if value.startswith("$") and value[1:2] != "$"]
    if variables:
        click.echo(f"Remember   {variables[0]} has to be set wherever ccr is started.")
    is_running = find_service(paths, local_key(paths, session.config(chosen))).condition != "stopped"
    click.echo(f"Next       {'ccr restart && ' if is_running else ''}ccr code")
