"""Files and folders that only their owner may read, under any umask; written whole or not at all.

A name that is a symbolic link is never followed (source: reliability reference §1b, file perms, PID symlink).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700
DRAFT: Final = re.compile(r".+\.(\d{1,10})\.[0-9a-f]{8}\.tmp")
"""A file that is being written; the number is its writer's process."""
YOUNG_S: Final = 60.0
"""A draft that is younger may be another machine's, which has the same folder."""


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
    except OSError as error:
        with contextlib.suppress(OSError):  # the first failure is the one to tell
            draft.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
    return draft


def clear_drafts(folder: Path) -> None:
    """Remove what killed processes were writing in a folder: it may hold what the file would have held."""
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            match = DRAFT.fullmatch(path.name)
            if match is None or _is_running(int(match[1])):
                continue
            if time.time() - path.lstat().st_mtime > YOUNG_S:
                path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
