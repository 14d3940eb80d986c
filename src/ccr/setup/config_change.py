"""A change of config.json: edited without loss, read back and found good, shown masked, then written at once.

What changes a person's configuration goes through here: `ccr config set`, `ccr model`, `ccr import`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ccr.config.edit import bytes_with, masked_text
from ccr.config.load import MISSING, config_from_bytes
from ccr.config.parse import MalformedError, values_from_bytes
from ccr.errors import ConfigError, Problem, StartError
from ccr.protocol.redaction import redacted
from ccr.setup.document import masked
from ccr.setup.plan import Change, content_of, write_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ccr.config.model import Config, Step


@dataclass(frozen=True)
class Written:
    """What stands in a configuration: its bytes (None: no file) and the document, variables as written."""

    path: Path
    data: bytes | None
    document: dict[str, Any]


def read_written(path: Path, *, may_be_missing: bool = False) -> Written:
    """Return what stands in the file. Raises StartError (exit code 2 without a file), ConfigError."""
    data = content_of(path)
    if data is None:
        if may_be_missing:
            return Written(path, None, {})
        raise StartError(MISSING.format(path=path), exit_code=2)
    return Written(path, data, _document(data, path))


def planned(
    written: Written,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    check_step: Callable[[Step], object] | None = None,
) -> tuple[Change, Config]:
    """Return the change that makes the file say ``document``, and the configuration it will be.

    Raises ConfigError with every problem of the result; then nothing is to be written.
    """
    old = written.data or b""
    try:
        new = bytes_with(old, dict(document))
    except MalformedError as error:
        raise ConfigError(Problem(str(written.path), "", str(error), "JSON; comments are allowed")) from error
    config = config_from_bytes(new, environ, file=str(written.path), check_step=check_step)
    return Change(written.path, written.data, new, shown_config(old), shown_config(new)), config


def write_planned(change: Change) -> Path | None:
    """Write the change; return where the old file is kept. Raises StartError when it changed meanwhile."""
    if content_of(change.path) != change.old:
        raise StartError(f"{change.path} was changed by somebody else meanwhile; nothing was written.")
    return write_config(change, stamp=dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f"))


def shown_config(data: bytes) -> str:
    """Return a configuration's text for the person: secrets masked, comments and order as they are."""
    text = data.decode("utf-8-sig", "replace")
    if not text.strip():
        return ""
    return redacted(masked_text(text, lambda key, value: bool(masked(value, key) != value)))


def _document(data: bytes, path: Path) -> dict[str, Any]:
    try:
        values = values_from_bytes(data)
    except MalformedError as error:
        raise ConfigError(Problem(str(path), "", str(error), "JSON; comments are allowed")) from error
    if not isinstance(values, dict):
        raise ConfigError(
            Problem(str(path), "", "a file without an object", "an object with Providers and Router")
        )
    return values
