"""The logs for the page: the end of one of three known files, what was added since, filtered.

No file is kept open: the page says how far it has read (inode and offset), and a file that was rotated since
is read to its end under its new name, so that no line is lost. Lines are masked where they are written
(daemon/log.py, plugins/log.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ccr.config.paths import Paths

LOGS: Final = ("ccr", "plugin", "start")
LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
LOOKED_AT_BYTES: Final = 4 * 1024 * 1024
SHOWN_LINES: Final = 300
CURSOR: Final = re.compile(r"(\d{1,20})-(\d{1,20})")
PLUGIN_LINE: Final = re.compile(r"(?P<time>\S+Z) \[(?P<level>\w{1,8})\] (?P<message>.*)")
APART: Final = ("time", "level", "message", "traceback")


@dataclass(frozen=True)
class Wanted:
    """What lines are looked for; "" stands for any. level: the lowest one."""

    level: str = ""
    text: str = ""
    request: str = ""
    session: str = ""

    def has(self, record: dict[str, Any], line: str) -> bool:
        """Tell whether a line is wanted; one without a level has every level."""
        level = record["level"]
        if self.level in LEVELS and level in LEVELS and LEVELS.index(level) < LEVELS.index(self.level):
            return False
        fields = dict(record["fields"])
        asked = ((self.request, "request_id"), (self.session, "session_id"))
        if any(text and text not in fields.get(name, "") for text, name in asked):
            return False
        return self.text.lower() in line.lower()


def log_file(paths: Paths, name: str) -> Path:
    """Return the file of one of ``LOGS``."""
    files = {"ccr": paths.log_file, "plugin": paths.home / "plugin.log", "start": paths.start_log}
    return files[name]


def log_page(file: Path, cursor: str, wanted: Wanted) -> dict[str, Any]:
    """Return the wanted records after ``cursor`` (of the file's end where it is "") and the next cursor.

    Raises OSError, but not for a file that is not there yet.
    """
    match = CURSOR.fullmatch(cursor)
    seen = (int(match[1]), int(match[2])) if match else None
    try:
        lines, following = _lines(file, seen)
    except FileNotFoundError:
        return {"exists": False, "cursor": "", "records": [], "omitted": 0}
    found = [record for line in lines if line and wanted.has(record := record_from(line), line)]
    shown = found[-SHOWN_LINES:]
    return {"exists": True, "cursor": following, "records": shown, "omitted": len(found) - len(shown)}


def record_from(line: str) -> dict[str, Any]:
    """Return a line as time, level, message, fields and traceback; a line of no known form is a message."""
    record: dict[str, Any] = {"time": "", "level": "", "message": line, "fields": [], "traceback": ""}
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        record |= {name: _plain(values.get(name, "")) for name in APART}
        record["fields"] = [(name, _plain(value)) for name, value in values.items() if name not in APART]
    elif (match := PLUGIN_LINE.fullmatch(line)) is not None:
        record |= match.groupdict() | {"level": match["level"].lower()}
    return record


def _lines(file: Path, seen: tuple[int, int] | None) -> tuple[Iterable[str], str]:
    """Return whole lines, the oldest first, and the cursor behind them."""
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(os.fdopen(_descriptor(file), "rb"))
        status = os.fstat(opened.fileno())
        is_cut, before, start = False, b"", 0
        if seen is not None and seen[0] == status.st_ino and seen[1] <= status.st_size:
            start = seen[1]
        elif seen is not None:
            before = _rest_of_rotated(file, seen)
        if status.st_size - start > LOOKED_AT_BYTES:
            start, is_cut, before = status.st_size - LOOKED_AT_BYTES, True, b""
        opened.seek(start)
        data = opened.read(LOOKED_AT_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    following = f"{status.st_ino}-{start + len(whole)}"
    lines = (before + whole).decode(errors="replace").splitlines()
    return lines[1:] if is_cut else lines, following


def _rest_of_rotated(file: Path, seen: tuple[int, int]) -> bytes:
    """Return what was added to the file that was read, after it got another name."""
    with contextlib.suppress(OSError), os.fdopen(_descriptor(file.with_name(f"{file.name}.1")), "rb") as old:
        if os.fstat(old.fileno()).st_ino == seen[0]:
            old.seek(seen[1])
            return old.read(LOOKED_AT_BYTES)
    return b""


def _descriptor(file: Path) -> int:
    return os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
