"""``plugin.log``: what the plugins do and say, one line an event, in the configuration's folder.

    2026-11-22T21:50:01.123Z [ERROR] databricks-custom: Error in transformRequestIn: TypeError: …

Written are lines of at least the configured level; of a transformer with the option ``debug``, all. With
``LOG`` false only the latter. A line never holds a secret ccr knows, nor a line break. Trouble with the disk
never reaches a request: the lines are counted, ccr's own log says once ``Failed to write to log file``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.masking import Mask
from ccr.config.private import FILE_MODE, make_private_folder

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable

    from ccr.config.model import Secret

FILE_NAME: Final = "plugin.log"
FILE_BYTES: Final = 5_000_000
OLD_FILES: Final = 2
TEXT_CHARACTERS: Final = 8000
LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
SILENT: Final = "silent"
MAX_TOKENS: Final = 64
_PACKAGE: Final = Path(__file__).parents[1]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class PluginLog:
    """The log of all plugins, Python and JavaScript.

    file: usually ``plugin.log`` in the configuration's folder. level: ``LOG_LEVEL``, None with ``LOG`` false.
    failures: ccr's own log, which learns when this one cannot be written.
    """

    def __init__(
        self,
        file: Path,
        *,
        level: str | None,
        secrets: Iterable[Secret] = (),
        failures: logging.Logger | None = None,
        max_bytes: int = FILE_BYTES,
        clock: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._file = file
        self._level = level or SILENT
        self._secrets = tuple(secrets)
        self._tokens: deque[Secret] = deque(maxlen=MAX_TOKENS)
        self._mask = Mask(self._secrets)
        self._failures = failures
        self._max_bytes = max_bytes
        self._clock = clock
        self.lost_lines = 0

    def hide(self, token: Secret) -> None:
        """Mask a further secret from now on; of those that change the newest are remembered."""
        if token in self._tokens:
            return
        self._tokens.append(token)
        self._mask = Mask((*self._secrets, *self._tokens))

    def step(self, name: str, *, debug: bool = False) -> StepLog:
        """Return the log of one transformer; debug: all its lines are written."""
        return StepLog(self, name, self.level_for(debug=debug))

    def level_for(self, *, debug: bool = False) -> str:
        """Return the lowest level that is written: a name of ``LEVELS``, or ``silent``."""
        return LEVELS[0] if debug else self._level

    def write_line(self, level: str, name: str, text: str) -> None:
        """Append one line. Never raises for what the disk does."""
        if len(text) > TEXT_CHARACTERS:
            text = f"{text[:TEXT_CHARACTERS]}… ({len(text)} characters)"
        moment = self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{moment} [{level.upper()}] {name}: {text}"
        if self.lost_lines:
            line += f" ({self.lost_lines} lines before this one were lost)"
        try:
            self._append(_escaped(self._mask(line)).encode(errors="replace") + b"\n")
        except OSError as error:
            self._lose(error)
        else:
            self.lost_lines = 0

    def _append(self, data: bytes) -> None:
        file = self._opened()
        try:
            size = os.fstat(file).st_size
            if size and size + len(data) > self._max_bytes:
                self._rotate()
                rotated = self._opened()
                os.close(file)
                file = rotated
            if os.write(file, data) < len(data):
                raise OSError("the disk is full")
        finally:
            os.close(file)

    def _opened(self) -> int:
        """Open the file to append; plugins may do the same at the same time."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._file, flags, FILE_MODE)
        except FileNotFoundError:
            make_private_folder(self._file.parent)
            return os.open(self._file, flags, FILE_MODE)

    def _rotate(self) -> None:
        """Move ``plugin.log`` to ``plugin.log.1``, that to ``plugin.log.2``, whose lines are gone."""
        for number in range(OLD_FILES, 0, -1):
            source = self._file if number == 1 else _numbered(self._file, number - 1)
            with contextlib.suppress(FileNotFoundError):
                source.replace(_numbered(self._file, number))

    def _lose(self, error: OSError) -> None:
        self.lost_lines += 1
        if self._failures is not None and self.lost_lines == 1:
            self._failures.warning(
                "Failed to write to log file",
                extra={"fields": {"file": str(self._file), "reason": error.strerror or str(error)}},
            )


class StepLog:
    """The lines of one transformer."""

    def __init__(self, log: PluginLog, name: str, level: str) -> None:
        self._log = log
        self._name = name
        self._lowest = LEVELS.index(level) if level in LEVELS else len(LEVELS)

    def writes(self, level: str) -> bool:
        """Tell whether lines of a level (a name of ``LEVELS``) are written."""
        return LEVELS.index(level) >= self._lowest

    def write(self, level: str, text: str) -> None:
        """Write a line of a level (a name of ``LEVELS``), unless the level is not wanted."""
        if self.writes(level):
            self._log.write_line(level, self._name, text)

    def called(self, hook: str) -> None:
        """Note that a hook is called: the line ``transformRequestIn called``."""
        if self.writes("debug"):
            self.write("debug", f"{hook} called")

    def failed(self, hook: str, error: BaseException) -> None:
        """Note that a hook failed: the line ``Error in transformRequestIn: …``, with its traceback."""
        reason = getattr(error, "reason", "") or f"{type(error).__name__}: {error}"
        trace = getattr(error, "trace", "") or _trace(error)
        self.write("error", f"Error in {hook}: {reason}" + (f"\n{trace}" if trace else ""))


def _trace(error: BaseException) -> str:
    """Return the traceback of what a hook of this process raised, from its author's first line on.

    The whole of it where the line is one of ccr's own.
    """
    frames = error.__traceback__
    if frames is None:
        return ""
    while frames is not None and _is_own(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    frames = frames or error.__traceback__
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _is_own(file: str) -> bool:
    return Path(file).is_relative_to(_PACKAGE)


def _escaped(line: str) -> str:
    r"""Return the line in one piece: breaks as ``\n``, other control characters as ``\x..``."""
    if line.isprintable():
        return line
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode()
        for each in line
    )


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")
