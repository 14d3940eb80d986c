"""The service's log: one JSON object a line, nothing a record holds can start a second one.

Records carry ids, sizes and timings in ``extra={"fields": {...}}``. Every line passes a mask of the
configured secrets' values, and of everything that looks like a secret, before it is written. Trouble with the
disk never reaches a request: the record is dropped and counted.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ccr.config.model import Secret
from ccr.config.private import FILE_MODE, make_private_folder
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccr.config.model import Config
    from ccr.config.paths import Paths

NAME = "ccr"
FILE_BYTES = 10_000_000
OLD_FILES = 3
FIELD_CHARACTERS = 4000
TRACE = 5
LEVELS = {
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
SHORTEST_SECRET = 6
SECRET_VARIABLES = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET")


class LineFormatter(logging.Formatter):
    """Makes one line of JSON of a record: time (UTC), level, message, its fields, its traceback."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        super().__init__()
        texts = {secret.reveal() for secret in secrets}
        forms = texts | {json.dumps(text)[1:-1] for text in texts}
        self._secrets = sorted(
            (form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        values: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": _level_name(record.levelno),
            "message": _shortened(record.getMessage()),
        }
        fields = getattr(record, "fields", {})
        values |= {name: _shortened(value) for name, value in fields.items() if name not in values}
        if record.name != NAME:
            values["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            values["traceback"] = _shortened(self.formatException(record.exc_info))
        return self._masked(json.dumps(values, default=str))

    def _masked(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return redacted(line)


class QuietFileHandler(RotatingFileHandler):
    """A rotating file of mode 0600; a record that cannot be written is counted, and the next one says so."""

    def __init__(self, paths: Paths) -> None:
        self.dropped = 0
        super().__init__(
            paths.log_file, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", delay=True
        )

    def _open(self) -> Any:  # the base class's hook; its return type is a private alias
        make_private_folder(Path(self.baseFilename).parent)
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_opened_privately)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; after losses, with their number."""
        if self.dropped:
            record = logging.makeLogRecord(record.__dict__)
            record.fields = {**getattr(record, "fields", {}), "dropped_records": self.dropped}
        before = self.dropped
        super().emit(record)
        if self.dropped == before:
            self.dropped = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - the base class's hook
        """Count instead of printing: the disk may be full, and stderr may be the same disk."""
        self.dropped += 1


def open_log(
    paths: Paths, config: Config, secrets: Iterable[Secret], *, stderr: TextIO | None = None
) -> logging.Logger:
    """Set up the process's logging and return the logger ``ccr``.

    stderr: where warnings go (the start log in the background), None for ``sys.stderr``.
    With ``LOG`` false nothing but these warnings is written.
    """
    logging.addLevelName(TRACE, "TRACE")
    logging.raiseExceptions = False
    formatter = LineFormatter(secrets)
    handlers: list[logging.Handler] = [logging.StreamHandler(stderr or sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    if config.log:
        handlers.append(QuietFileHandler(paths))
    for handler in handlers:
        handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING)
    logger = logging.getLogger(NAME)
    logger.setLevel(LEVELS[config.log_level] if config.log else logging.WARNING)
    return logger


def secrets_of(config: Config, key: Secret, environ: Mapping[str, str]) -> list[Secret]:
    """Return every secret the process holds from its start."""
    sign_ins = [provider.sign_in for provider in config.providers if provider.sign_in is not None]
    candidates = [
        key,
        config.api_key,
        config.proxy_url,
        *(provider.api_key for provider in config.providers),
        *(key for provider in config.providers for key in provider.more_keys),
        *(
            provider.network.proxy
            for provider in config.providers
            if isinstance(provider.network.proxy, Secret)
        ),
        *(sign_in.client_secret for sign_in in sign_ins),
        *(Secret(environ[name]) for name in SECRET_VARIABLES if name in environ),
    ]
    return [secret for secret in candidates if secret is not None]


def _level_name(level: int) -> str:
    return next((name for name, value in LEVELS.items() if level >= value), "trace")


def _shortened(value: Any) -> Any:
    text = value if isinstance(value, str) else None
    if text is None or len(text) <= FIELD_CHARACTERS:
        return value
    return f"{text[:FIELD_CHARACTERS]}… ({len(text)} characters)"


def _opened_privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
