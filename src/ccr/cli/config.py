"""``ccr config path|show|check``; ``get|set|unset`` are in config_edit.py."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from ccr.cli.config_edit import get_value, set_value, unset_value
from ccr.cli.warnings import show_warnings
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.errors import ConfigError, Problem, StartError

if TYPE_CHECKING:
    from ccr.config.model import Config

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def config() -> None:
    """Show, check and change the configuration."""


for _command in (get_value, set_value, unset_value):
    config.add_command(_command)


@config.command("path")
@json_option
def show_path(*, as_json: bool) -> None:
    """Print where config.json lies."""
    path = Paths.from_environ(os.environ).config_file
    click.echo(json.dumps({"path": str(path), "exists": path.exists()}) if as_json else str(path))


@config.command()
@json_option
def show(*, as_json: bool) -> None:
    """Print the configuration in effect: defaults filled in, variables replaced, secrets masked."""
    from ccr.config.show import values_from_config  # imported late: only this command needs it

    loaded = _load(Paths.from_environ(os.environ))
    if not as_json:
        show_warnings(loaded)
    click.echo(json.dumps(values_from_config(loaded), indent=2, ensure_ascii=as_json))


@config.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check the configuration. Exit code 0: good, 1: problems, 2: there is none."""
    paths = Paths.from_environ(os.environ)
    from ccr.upstream.identities import identities_of  # imported late: only this command needs it

    try:
        loaded = _load(paths)
        identities_of(loaded, os.environ)
        warnings = (*loaded.warnings, *_warnings_of_own_files(paths, loaded))
    except StartError as error:
        if not as_json:
            raise
        _print_problems(Problem(str(paths.config_file), "", "no file", "a file; `ccr setup` makes one"))
        raise SystemExit(error.exit_code) from error
    except ConfigError as error:
        if not as_json:
            raise
        _print_problems(*error.problems, warnings=error.warnings)
        raise SystemExit(1) from error
    if as_json:
        values = {"ok": True, "problems": [], "warnings": warnings, "notes": loaded.notes}
        click.echo(json.dumps(values, indent=2))
        return
    show_warnings(replace(loaded, warnings=warnings))
    models = sum(len(provider.models) for provider in loaded.providers)
    counts = f"providers: {len(loaded.providers)}, models: {models}, default: {loaded.router.default}"
    click.echo(f"{paths.config_file} is good ({counts})")


def _print_problems(*problems: Problem, warnings: tuple[str, ...] = ()) -> None:
    found = [asdict(problem) for problem in problems]
    click.echo(json.dumps({"ok": False, "problems": found, "warnings": warnings, "notes": []}, indent=2))


def _warnings_of_own_files(paths: Paths, loaded: Config) -> tuple[str, ...]:
    """Load the transformers and the custom router of the person's own, as the start does.

    Raises ConfigError.
    """
    from ccr.setup.check_plugins import load_own_files, names_own_files  # imported late: few have any

    if not names_own_files(loaded):
        return ()
    import asyncio

    return asyncio.run(load_own_files(loaded, paths.home, os.environ))


def _load(paths: Paths) -> Config:
    from ccr.transformers.registry import build  # imported late: `ccr config path` does not need it

    return load_config(paths, os.environ, check_step=build)
