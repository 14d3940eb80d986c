"""The lock that the serving process of an installation holds while it lives: flock, freed by any death."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from ccr.config.private import FILE_MODE, make_private_folder

if TYPE_CHECKING:
    from ccr.config.paths import Paths

RETRY_S = 0.02


def acquire(paths: Paths, *, patience_s: float = 1.0) -> int | None:
    """Take the lock and return its descriptor, to be kept open; None when another process holds it.

    Patient for a moment, because `is_held` takes the lock itself for an instant. Raises OSError.
    """
    make_private_folder(paths.home)
    descriptor = _open(paths)
    deadline = time.monotonic() + patience_s
    while not _try(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(RETRY_S)
    return descriptor


class Held:
    """The lock as this process has it; ``release`` gives up this process's part, once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.is_released = False

    def release(self) -> None:
        """Close the descriptor; another process that got a copy of it has the lock on."""
        if not self.is_released:
            self.is_released = True
            os.close(self.descriptor)


def is_held(paths: Paths) -> bool:
    """Tell whether a process holds the lock now. Raises OSError when the file is not one of ours."""
    try:
        descriptor = _open(paths, create=False)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open(paths: Paths, *, create: bool = True) -> int:
    mode = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY  # a home that is read-only can be asked, too
    flags = mode | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(paths.lock_file, flags, FILE_MODE)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
