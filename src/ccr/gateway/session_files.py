"""A file a session, in a folder that only its owner may use; written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.private import FOLDER_MODE, make_folder, write_private

if TYPE_CHECKING:
    from ccr.config.speed import SpeedFiles

MAX_FILES: Final = 500
LOOK_EVERY: Final = 100
"""Files are counted at the first writing, and then at every hundredth."""


class SessionFiles:
    """Writes the files of sessions; the newest ``max_files`` are kept."""

    def __init__(self, files: SpeedFiles, *, max_files: int = MAX_FILES) -> None:
        self._files = files
        self._max_files = max_files
        self._written = 0

    def write(self, session: str, at_ms: int, data: bytes) -> None:
        """Write a session's file. session: may be part of a name. at_ms: since 1970. Raises OSError.

        That is also raised for a folder that somebody else could use, or could exchange for another one.
        """
        files = self._files
        check_folder(files.folder)
        time = f"-{at_ms}" if files.has_time else ""
        write_private(files.folder / f"{files.prefix}-{session}{time}.{files.extension}", data)
        if self._written % LOOK_EVERY == 0:
            self._remove_old()
        self._written += 1

    def _remove_old(self) -> None:
        files = self._files
        found = []
        for path in files.folder.glob(f"{files.prefix}-*.{files.extension}"):
            with contextlib.suppress(OSError):  # somebody else has removed it
                found.append((path.lstat().st_mtime_ns, path))
        for _, path in sorted(found, reverse=True)[self._max_files :]:
            path.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Make a folder, for its owner alone, where it is missing. Raises OSError where others could use it.

    A link in its place is not followed: in a folder that everybody may write, like /tmp, anybody may have
    put it there. Nor may a folder above it be another user's, or be open to all without the sticky bit.
    """
    make_folder(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{folder} is a link or no folder: it is not followed")
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user")
    for above in Path(os.path.realpath(folder.parent, strict=True), "x").parents:
        found = above.stat()
        is_open = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (os.geteuid(), 0) or is_open:
            raise PermissionError(f"{folder} can be exchanged by other users: {above} is not yours alone")
    if status.st_mode & 0o077:
        folder.chmod(FOLDER_MODE)
