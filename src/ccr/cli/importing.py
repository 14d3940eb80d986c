"""``ccr import [FOLDER|FILE]``: config.json from the npm router's versions 1, 2 and 3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ccr.setup.import_v3 import Imported

DATABASE = "config.sqlite"


@click.command("import")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--yes", "-y", is_flag=True, help="Do not ask before writing.")
def import_(*, source: Path | None, yes: bool) -> None:
    """Write config.json from a folder, a config.json or a config.sqlite of the npm router.

    Without SOURCE it looks into ccr's own folder, which was the npm router's. The change is shown first, with
    what was changed and what could not be carried. What is read stays as it is.
    """
    from ccr.cli.written import show_written
    from ccr.config.paths import Paths
    from ccr.errors import ConfigError
    from ccr.setup.config_change import shown_config, write_planned
    from ccr.setup.import_folder import unset_variables
    from ccr.setup.import_problems import verdict_on
    from ccr.setup.plan import Change, content_of, diff_of

    paths = Paths.from_environ(os.environ)
    file = _file(source or paths.home)
    imported, new = _read(file)
    problems, warnings = verdict_on(new, imported.document, os.environ, file)
    if problems:
        raise ConfigError(*problems)
    old = content_of(paths.config_file)
    change = Change(paths.config_file, old, new, shown_config(old or b""), shown_config(new))
    click.echo(f"From       {file}")
    for sentence in imported.notes:
        click.echo(f"Changed    {sentence}")
    for sentence in imported.lost:
        click.echo(f"Lost       {sentence}")
    for warning in warnings:
        click.echo(f"Note       {warning}.")
    for name in unset_variables(imported.document, os.environ):
        click.echo(f"Remember   {name} has to be set wherever ccr is started.")
    if not change.is_needed:
        click.echo(f"Unchanged  {paths.config_file} says this already.")
        return
    click.echo(f"\n{diff_of(change)}\n")
    if not yes and not click.confirm(f"Write {paths.config_file}?", default=True):
        click.echo("Nothing was written.")
        return
    backup = write_planned(change)
    show_written(paths.config_file, backup)
    click.echo("Next       ccr config check && ccr code")


def _file(source: Path) -> Path:
    """Return the file to read; in a folder config.json, or the database that took its place."""
    from ccr.errors import StartError

    if source.is_file():
        return source
    found = [source / name for name in ("config.json", DATABASE) if (source / name).is_file()]
    if not found:
        raise StartError(f"There is neither a config.json nor a {DATABASE} in {source}.", exit_code=2)
    return found[0]


def _read(file: Path) -> tuple[Imported, bytes]:
    """Return what is to be written, as a document with its notes and as a file."""
    from ccr.config.edit import bytes_with
    from ccr.presets.fill import with_whole_paths
    from ccr.setup.config_change import read_written
    from ccr.setup.import_folder import beside, make_usable
    from ccr.setup.import_v3 import Imported, imported_v3, read_database, text_of
    from ccr.transformers.registry import build

    is_database = file.suffix in (".sqlite", ".db")
    imported = (
        imported_v3(read_database(file)) if is_database else Imported(dict(read_written(file).document))
    )
    folder = file.absolute().parent
    make_usable(imported, file, build, os.environ)
    from ccr.config.paths import Paths

    if folder != Paths.from_environ(os.environ).home:
        imported.document = with_whole_paths(imported.document, folder)
        imported.lost += beside(folder)
    if is_database:
        return imported, text_of(imported.document)
    return imported, bytes_with(read_written(file).data or b"", imported.document)  # comments stay
