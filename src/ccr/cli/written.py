"""After config.json was written: what the person is told, and the service."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def show_written(path: Path, backup: Path | None) -> None:
    """Say what was written, and have a running service read it.

    It would notice within a second; but what comes next may be `ccr code`, and name the new model at once.
    """
    from ccr.config.paths import Paths
    from ccr.daemon.control import ask_to_reload, known_key
    from ccr.errors import StartError

    click.echo(f"Written    {path}" + (f" (the old one is {backup.name})" if backup else ""))
    paths = Paths.from_environ(os.environ)
    with contextlib.suppress(StartError, OSError):
        ask_to_reload(paths, known_key(paths, os.environ))
