"""``ccr config get|set|unset``: one value of config.json, the rest of the file as it is."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.config.key_path import Place
    from ccr.setup.config_change import Written

TEXT_KEY = re.compile(r"(?:key|token|secret|password)$", re.IGNORECASE)
"""Keys whose value is a text, also when it is made of digits."""
key_argument = click.argument("key")


@click.command("get")
@key_argument
@click.option("--reveal", is_flag=True, help="Print secrets as they are.")
def get_value(*, key: str, reveal: bool) -> None:
    """Print a value as it is written: a text bare, anything else as JSON. Secrets are masked.

    KEY is a path: Router.default, Providers[0].models, Providers.databricks.api_key.
    """
    from functools import reduce

    from ccr.config.edit import name_within
    from ccr.config.key_path import value_at
    from ccr.setup.document import masked

    written, place = _found(key)
    value = _or_fail(lambda: value_at(written.document, place))
    if not reveal:
        names = [part for part in place if isinstance(part, str)]
        value = masked(value, reduce(name_within, names, ""))
    click.echo(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


@click.command("set")
@key_argument
@click.argument("value")
@click.option("--text", is_flag=True, help="VALUE is a text, also where it looks like JSON.")
def set_value(*, key: str, value: str, text: bool) -> None:
    """Write a value. Comments, order and everything else in the file stay; a backup is kept.

    VALUE is JSON, else a text; - reads it from stdin, so that a secret stays out of the shell's history.
    A configuration with problems is not written.
    """
    from ccr.config.key_path import document_with

    written, place = _found(key)
    given = sys.stdin.read().strip() if value == "-" else value
    new = given if text else _value_from(given, place)
    _write(written, document_with(written.document, place, new), key)


@click.command("unset")
@key_argument
def unset_value(*, key: str) -> None:
    """Take a key out of the file."""
    from ccr.config.key_path import document_without, value_at

    written, place = _found(key)
    _or_fail(lambda: value_at(written.document, place))
    _write(written, document_without(written.document, place), key)


def _found(key: str) -> tuple[Written, Place]:
    from ccr.config.key_path import place_of
    from ccr.config.paths import Paths
    from ccr.setup.config_change import read_written

    written = read_written(Paths.from_environ(os.environ).config_file)
    return written, _or_fail(lambda: place_of(written.document, key))


def _or_fail(look: Callable[[], Any]) -> Any:
    from ccr.config.key_path import NoSuchKeyError
    from ccr.errors import StartError

    try:
        return look()
    except NoSuchKeyError as error:
        raise StartError(str(error)) from error


def _value_from(given: str, place: Place) -> Any:
    """Return JSON where it is some; a secret is a text whatever it looks like."""
    from ccr.config.parse import MalformedError, values_from_bytes

    is_secret = isinstance(place[-1], str) and TEXT_KEY.search(place[-1]) is not None
    try:
        value = values_from_bytes(given.encode())
    except MalformedError:
        return given
    return given if is_secret and not isinstance(value, str) else value


def _write(written: Written, document: dict[str, Any], key: str) -> None:
    from ccr.cli.warnings import show_warnings
    from ccr.cli.written import show_written
    from ccr.setup.config_change import planned, write_planned
    from ccr.transformers.registry import build

    change, config = planned(written, document, os.environ, check_step=build)
    if not change.is_needed:
        click.echo(f"{key} is so already; nothing was written.")
        return
    backup = write_planned(change)
    show_warnings(config, with_notes=False)
    show_written(change.path, backup)
