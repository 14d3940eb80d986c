"""Files and folders that only their owner may read, under any umask; written whole or not at all.

A name that is a symbolic link is never followed (source: reliability reference §1b, file perms, PID symlink).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700
DRAFT = re.compile(r".+\.(?P<pid>[0-9]{1,7})\.[0-9a-f]{8}\.tmp")
"""The names that `draft_beside` gives."""


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, where they are missing, for their owner alone. Raises OSError.

    ``mkdir(parents=True)`` would give the ones above the mode that the umask leaves.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` (and its parents) when it is missing; an existing one of ours is closed to others.

    A folder that belongs to somebody else keeps its mode: whoever mounts it there decides. Raises OSError.
    """
    make_folder(folder)
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        folder.chmod(FOLDER_MODE)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` at once: readers see the old content or the new one. Raises OSError."""
    draft = draft_beside(path, data)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def create_private(path: Path, data: bytes) -> bool:
    """Make ``path`` with ``data`` unless it is there; True when made. Of many racing processes one wins."""
    draft = draft_beside(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def read_private(path: Path, *, limit_bytes: int = 65536) -> bytes:
    """Read at most ``limit_bytes`` of a regular file that is no link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        return os.read(descriptor, limit_bytes)
    finally:
        os.close(descriptor)


def remove_drafts(folder: Path, is_alive: Callable[[int], bool]) -> None:
    """Remove what processes that were killed had half written: a draft of the configuration holds keys.

    is_alive: tells of a process id whether it is one of a process. Raises OSError when it cannot be read.
    """
    for file in list(folder.iterdir()):
        match = DRAFT.fullmatch(file.name)
        if match is not None and not is_alive(int(match["pid"])):
            file.unlink(missing_ok=True)


def draft_beside(path: Path, data: bytes) -> Path:
    """Write ``data`` durably to a new file next to ``path``, to be renamed or linked to it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):  # the first failure is the one to tell
            draft.unlink()
        raise
    return draft
