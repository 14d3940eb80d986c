"""Which plugin files may be loaded: the person's own, that nobody else can change.

A plugin runs with all rights of ccr; whoever can write it, or exchange it in its folder, has them too.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from ccr.plugins.errors import plugin_error_from_file


def check_plugin_file(path: str | Path) -> Path:
    """Return the file behind ``path``, links followed. Raises PluginError with what to do about it."""
    given = Path(path)
    if not given.is_absolute():
        raise plugin_error_from_file(given, "is no absolute path; write it out in full")
    try:
        file = given.resolve(strict=True)
        status, folder = file.stat(), file.parent.stat()
    except OSError as error:
        raise plugin_error_from_file(given, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise plugin_error_from_file(file, "is no file")
    _check_owner(file, file, status)
    if not folder.st_mode & stat.S_ISVTX:
        _check_writers(file, file.parent, folder)
    return file


def _check_owner(file: Path, what: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise plugin_error_from_file(
            file, f"belongs to another user; a plugin must be your own (chown it to {_name(os.geteuid())})"
        )
    _check_writers(file, what, status)


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
