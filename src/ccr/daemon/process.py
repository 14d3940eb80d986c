"""What the system tells about processes and ports, read from /proc; None where it tells nothing.

Command lines may hold anything, so they are shortened and freed of control characters before they are shown.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
START_TIME_FIELD = 19
"""Position of ``starttime`` after the command's closing parenthesis (source: proc(5), field 22)."""
LISTENING = "0A"
SHOWN_CHARACTERS = 120


def start_time_of(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot: with the pid it names one process."""
    try:
        after_command = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(after_command[START_TIME_FIELD])
    except (OSError, ValueError, IndexError):
        return None


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def command_of(pid: int) -> str | None:
    """Return the command line of a process, shortened and printable."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    text = " ".join(part.decode(errors="replace") for part in raw.split(b"\0") if part)
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def has_open(pid: int, file: Path) -> bool | None:
    """Tell whether a process has ``file`` open; None when that cannot be seen."""
    try:
        wanted = file.stat()
        entries = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return None
    for entry in entries:
        try:
            found = entry.stat()
        except OSError:
            continue  # closed meanwhile
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def holder_of_port(port: int) -> int | None:
    """Return the process that listens on a TCP port of this machine, as far as it can be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in PROC.iterdir():
        if process.name.isdigit() and _has_link_to(process, sockets):
            return int(process.name)
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _has_link_to(process: Path, targets: set[str]) -> bool:
    try:
        entries = list((process / "fd").iterdir())
    except OSError:
        return False  # another user's, or gone
    for entry in entries:
        try:
            if str(entry.readlink()) in targets:
                return True
        except OSError:
            continue  # closed meanwhile
    return False
