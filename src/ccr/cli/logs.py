"""``ccr logs``: the JSON lines of the service's log for people, or as they are."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import click

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
    """Yield the last ``count`` lines, then, when following, new ones, also of a rotated file's successor."""
    position, number = 0, None
    if file.exists():
        with file.open(encoding="utf-8", errors="replace") as opened:
            yield from (line.rstrip("\n") for line in deque(opened, maxlen=count))
            position, number = opened.tell(), os.fstat(opened.fileno()).st_ino
    rest = ""
    while follow:
        time.sleep(POLL_S)
        if not file.exists():
            continue
        with file.open(encoding="utf-8", errors="replace") as opened:
            status = os.fstat(opened.fileno())
            if status.st_ino != number or status.st_size < position:
                position, number, rest = 0, status.st_ino, ""
            opened.seek(position)
            *complete, rest = (rest + opened.read()).split("\n")
            position = opened.tell()
        yield from complete


def readable(line: str) -> str:
    """Return a record as text: time, level, message, fields, and the traceback below; others unchanged."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return _printable(line)
    time_of_day = str(record.get("time", ""))[11:23]
    fields = "  ".join(f"{name}={_plain(value)}" for name, value in record.items() if name not in PLAIN)
    text = f"{time_of_day} {record.get('level', ''):5} {_plain(record.get('message', ''))}"
    text = _printable(f"{text}  {fields}" if fields else text)
    for traced in str(record.get("traceback", "")).splitlines():
        text += "\n    " + _printable(traced)
    return text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """Replace what could move the cursor or start a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)
