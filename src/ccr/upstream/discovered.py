"""``models.json``: what the workspaces served when they were last asked, so that commands work offline.

A hint, never a proof, and never a secret: a missing or damaged file is an empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccr.config.private import make_private_folder, read_private, write_private
from ccr.upstream.discovery import ServedModel  # noqa: TC001 - msgspec resolves the annotation

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.paths import Paths

FILE_NAME: Final = "models.json"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024


class Remembered(msgspec.Struct, frozen=True):
    """What one workspace served ``at`` a time, in seconds since 1970."""

    at: float
    models: tuple[ServedModel, ...]


def models_file(paths: Paths) -> Path:
    """Return where it lies."""
    return paths.home / FILE_NAME


def read_discovered(paths: Paths) -> dict[str, Remembered]:
    """Return workspace URL -> what it served; empty when nothing was remembered."""
    try:
        data = read_private(models_file(paths), limit_bytes=MAX_FILE_BYTES)
        return msgspec.json.decode(data, type=dict[str, Remembered])
    except (OSError, msgspec.MsgspecError, RecursionError):
        return {}


def write_discovered(paths: Paths, url: str, models: tuple[ServedModel, ...], *, at: float) -> None:
    """Remember what the workspace at ``url`` serves; what others serve stays. Raises OSError."""
    remembered = read_discovered(paths) | {url: Remembered(at, models)}
    make_private_folder(paths.home)
    write_private(models_file(paths), msgspec.json.encode(remembered) + b"\n")
