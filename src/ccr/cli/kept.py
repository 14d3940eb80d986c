"""The way of ``ccr usage`` and ``ccr requests`` to what the service has kept; the service need not run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.errors import ConfigError, StartError, StoreError

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.store.reading import Reader

NOTHING_YET: Final = 3


def configuration() -> Config | None:
    """Return the configuration, None without one; one with problems is told of, and left out."""
    try:
        return load_config(Paths.from_environ(os.environ), os.environ)
    except ConfigError:
        click.echo(
            "warning: the configuration has problems (`ccr config check`): its own prices do not count",
            err=True,
        )
    except StartError:
        pass  # what was kept can be shown without it
    return None


def opened(config: Config | None) -> Reader:
    """Open the database. Raises StoreError; StartError (exit code 3) when nothing was kept yet."""
    from ccr.store.read import open_read_only  # imported late: SQLite, for these commands alone

    try:
        return open_read_only(Paths.from_environ(os.environ).usage_file)
    except StoreError as error:
        if error.reason != "missing":
            raise
        is_off = config is not None and not config.usage.is_kept
        why = " USAGE is false in the configuration." if is_off else ""
        raise StartError(f"{error}{why}", exit_code=NOTHING_YET) from None
