"""``ccr logs``: the JSON lines of the service's log for people, or as they are."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ccr.cli.printable import printable
from ccr.config.paths import Paths
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_S = 0.25
PLAIN = ("time", "level", "message", "traceback")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="Last lines.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the records as they are, one JSON object a line."
)
def logs(*, follow: bool, lines: int, as_json: bool) -> None:
    """Show the end of the service's log."""
    file = Paths.from_environ(os.environ).log_file
    if not file.exists() and not follow:
        raise StartError(f"There is no log yet at {file} (none is written when LOG is false).")
    try:
        for line in _lines(file, lines, follow=follow):
            click.echo(line if as_json else readable(line))
    except KeyboardInterrupt:
        return  # the way to end -f


def _lines(file: Path, count: int, *, follow: bool) -> Iterator[str]:
    """Yield the last ``count`` lines, then, when following, new ones."""
    with contextlib.closing(_Tail(file)) as tail:
        yield from deque(tail.new_lines(), maxlen=count)
        while follow:
            time.sleep(POLL_S)
            yield from tail.new_lines()


class _Tail:
    """Reads a file that grows, and goes on to its successor when it was rotated, without losing a line."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: BinaryIO | None = None
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Return the lines completed since the last call."""
        lines = self._read()
        if self._has_successor():
            self.close()
            with contextlib.suppress(FileNotFoundError):
                self._opened = self._file.open("rb")
            lines += self._read()
        return lines

    def close(self) -> None:
        """Close the file; half a line is forgotten."""
        if self._opened is not None:
            self._opened.close()
        self._opened, self._rest = None, b""

    def _read(self) -> list[str]:
        if self._opened is None:
            return []
        *complete, self._rest = (self._rest + self._opened.read()).split(b"\n")
        return [line.decode(errors="replace") for line in complete]

    def _has_successor(self) -> bool:
        """Tell whether the name stands for another file now, or for one that was cut."""
        if self._opened is None:
            return True
        mine = os.fstat(self._opened.fileno())
        if mine.st_size < self._opened.tell():
            return True
        try:
            return self._file.stat().st_ino != mine.st_ino
        except FileNotFoundError:
            return False


def readable(line: str) -> str:
    """Return a record as text: time, level, message, fields, and the traceback below; others unchanged."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return printable(line)
    fields = "  ".join(f"{name}={_plain(value)}" for name, value in record.items() if name not in PLAIN)
    when = _local_time(str(record.get("time", "")))
    text = f"{when} {record.get('level', ''):5} {_plain(record.get('message', ''))}"
    text = printable(f"{text}  {fields}" if fields else text)
    for traced in str(record.get("traceback", "")).splitlines():
        text += "\n    " + printable(traced)
    return text


def _local_time(written: str) -> str:
    """Return the time of a record on this machine's clock, without the year; the log has UTC."""
    try:
        time_of_record = dt.datetime.fromisoformat(written).astimezone()
    except (ValueError, OverflowError):
        return written
    return f"{time_of_record:%m-%d %H:%M:%S}.{time_of_record.microsecond // 1000:03}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
