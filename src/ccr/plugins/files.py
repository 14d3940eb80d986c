"""Which plugin files may be loaded: the person's own, that nobody else can change.

A plugin runs with all rights of ccr; whoever can write it, or exchange it in its folder, has them too.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final

from ccr.plugins.errors import plugin_error_from_file

UNKNOWN_USER: Final = 65534
"""Whom the system's own folders seem to belong to inside a container that does not know their owner."""


def check_plugin_file(path: str | Path) -> Path:
    """Return the file behind ``path``, links followed. Raises PluginError with what to do about it.

    Everything on the way to it is looked at, as ssh does with its keys: whoever can exchange a folder or a
    link above the file can exchange the file.
    """
    given = Path(path)
    if not given.is_absolute():
        raise plugin_error_from_file(given, "is no absolute path; write it out in full")
    try:
        file = Path(os.path.realpath(given, strict=True))  # Path.resolve raises no OSError on a circle
        status = file.stat()
        way = [(place, place.lstat()) for place in _way_to(given)]
    except OSError as error:
        raise plugin_error_from_file(given, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise plugin_error_from_file(file, "is no file")
    if status.st_uid not in _trusted():
        raise plugin_error_from_file(
            file, f"belongs to another user; a plugin must be your own (chown it to {_name(os.geteuid())})"
        )
    _check_writers(file, file, status)
    for place, found in way:
        _check_place(file, place, found)
    return file


def _way_to(path: Path) -> list[Path]:
    """Return every folder and link that is looked at on the way to a file; each once, from the top."""
    way: dict[Path, None] = {}
    here, names = Path(path.anchor), list(path.parts[1:])
    while names:
        way[here] = None
        name = names.pop(0)
        if name == "..":
            here = here.parent
        elif (here / name).is_symlink():
            way[here / name] = None
            target = (here / name).readlink()
            names[:0] = target.parts[1:] if target.is_absolute() else target.parts
            here = Path(target.anchor) if target.is_absolute() else here
        else:
            here /= name
    return list(way)


def _check_place(file: Path, place: Path, status: os.stat_result) -> None:
    """Raise when somebody else could exchange what a folder holds, or where a link leads."""
    trusted = _trusted() if place == file.parent else (*_trusted(), UNKNOWN_USER)
    if status.st_uid not in trusted:
        raise plugin_error_from_file(
            file, f"is reached by {place}, which belongs to another user; put it into a folder of your own"
        )
    if not stat.S_ISLNK(status.st_mode) and not status.st_mode & stat.S_ISVTX:
        _check_writers(file, place, status)


def _trusted() -> tuple[int, int]:
    return os.geteuid(), 0


def _check_writers(file: Path, what: Path, status: os.stat_result) -> None:
    """Raise when others may write ``what``; a group that has no other member is the owner's own."""
    others = status.st_mode & stat.S_IWOTH
    group = status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid, status.st_uid)
    if others or group:
        is_file = what == file
        subject = "can be written" if is_file else f"lies in {what}, which can be written"
        raise plugin_error_from_file(file, f"{subject} by other users; `chmod go-w {what}` closes it")


def _is_private_group(gid: int, uid: int) -> bool:
    """Tell whether a group is the one many systems make for each user (their files have mode 664)."""
    name = _name(uid)
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
