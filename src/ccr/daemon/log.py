"""The service's log: one JSON object a line, nothing a record holds can start a second one.

Records carry ids, sizes and timings in ``extra={"fields": {...}}``. Every line passes a mask of the
configured secrets' values, and of everything that looks like a secret, before it is written. Where the lines
go, and what happens when they cannot be written: log_file.py.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

from ccr.config.masking import Mask, secrets_of_config
from ccr.config.model import Secret
from ccr.daemon.log_file import BackgroundHandler, QuietFileHandler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccr.config.model import Config
    from ccr.config.paths import Paths

NAME = "ccr"
LINE_BYTES = 4096
TEXT_CHARACTERS = (3000, 1000, 300, 60)
"""How long one text of a line may be; the first of these with which the line fits."""
MASKED_CHARACTERS = 32_768
"""What lies behind is not even looked at: it would be cut anyway, and may be megabytes."""
TRACE = 5
LEVELS = {
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
SECRET_VARIABLES = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET")


class LineFormatter(logging.Formatter):
    """Makes one line of JSON of a record: time (UTC), level, message, its fields, its traceback.

    A line has at most LINE_BYTES: long texts are cut, the longest first, tracebacks at their beginning.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        super().__init__()
        self.secrets = frozenset(secrets)
        self._mask = Mask(self.secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        values: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": _level_name(record.levelno),
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", {})
        values |= {name: value for name, value in fields.items() if name not in values}
        if record.name != NAME:
            values["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            values["traceback"] = self.formatException(record.exc_info)
        # Masked before it is cut for good: half a secret would not be found.
        texts = {
            name: self._mask(value[:MASKED_CHARACTERS]) if isinstance(value, str) else value
            for name, value in values.items()
        }
        return self._mask(_line_of(texts))


def open_log(
    paths: Paths, config: Config, secrets: Iterable[Secret], *, stderr: TextIO | None = None
) -> logging.Logger:
    """Set up the process's logging and return the logger ``ccr``.

    stderr: where warnings go (the start log in the background), None for ``sys.stderr``.
    With ``LOG`` false nothing but these warnings is written. Lines are written by a thread.
    """
    logging.addLevelName(TRACE, "TRACE")
    logging.raiseExceptions = False
    shown = logging.StreamHandler(stderr or sys.stderr)
    shown.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [BackgroundHandler([shown])]
    root.setLevel(logging.WARNING)
    adjust_log(paths, config, secrets)
    return logging.getLogger(NAME)


def adjust_log(paths: Paths, config: Config, secrets: Iterable[Secret]) -> None:
    """Let the opened log follow an edited configuration; secrets it has masked so far stay masked."""
    background = logging.getLogger().handlers[0]
    assert isinstance(background, BackgroundHandler)  # noqa: S101 - `open_log` has put it there
    shown, *files = background.targets
    earlier = shown.formatter.secrets if isinstance(shown.formatter, LineFormatter) else frozenset()
    if config.log and not files:
        files = [QuietFileHandler(paths)]
    targets = (shown, *(files if config.log else ()))
    formatter = LineFormatter(earlier | frozenset(secrets))
    for target in targets:
        target.setFormatter(formatter)
    background.targets = targets
    for file in files if not config.log else ():
        file.close()
    logging.getLogger(NAME).setLevel(LEVELS[config.log_level] if config.log else logging.WARNING)


def secrets_of(config: Config, key: Secret, environ: Mapping[str, str]) -> list[Secret]:
    """Return every secret the process holds from its start."""
    named = [Secret(environ[name]) for name in SECRET_VARIABLES if name in environ]
    return [key, *secrets_of_config(config), *named]


def _level_name(level: int) -> str:
    return next((name for name, value in LEVELS.items() if level >= value), "trace")


def _line_of(values: Mapping[str, Any]) -> str:
    """Return values as JSON of at most LINE_BYTES."""
    for limit in TEXT_CHARACTERS:
        line = json.dumps(
            {name: _shortened(name, value, limit) for name, value in values.items()}, default=str
        )
        if len(line) <= LINE_BYTES:
            return line
    kept = {name: value for name, value in values.items() if name in ("time", "level")}
    return json.dumps({**kept, "message": f"a record of {len(line)} bytes is not shown"})


def _shortened(name: str, value: Any, limit: int) -> Any:
    if isinstance(value, list | tuple | dict) and len(text := json.dumps(value, default=str)) > limit:
        value = text
    if not isinstance(value, str) or len(value) <= limit:
        return value
    kept = value[-limit:] if name == "traceback" else value[:limit]
    return f"{kept}… ({len(value)} characters)"
