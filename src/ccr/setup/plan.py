"""What set-up is about to write, shown before it is written: files with their old and new content."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccr.config.private import (
    DRAFT,
    FILE_MODE,
    clear_drafts,
    draft_beside,
    make_private_folder,
    write_private,
)
from ccr.errors import StartError
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEPT_BACKUPS: Final = 5
MAX_FILE_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True)
class Change:
    """One file. old: None when there is none. shown_old, shown_new: for the person, secrets masked."""

    path: Path
    old: bytes | None
    new: bytes
    shown_old: str
    shown_new: str

    @property
    def is_needed(self) -> bool:
        """Whether anything changes."""
        return self.old != self.new


def content_of(path: Path) -> bytes | None:
    """Return a file's content, None when there is no such file. Raises StartError when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise StartError(f"{path} is larger than {MAX_FILE_BYTES} bytes; it is left alone.")
    return data


def shown(data: bytes) -> str:
    """Return a file's content as it can be printed; what looks like a token is masked."""
    return redacted(data.decode("utf-8", "replace"))


def diff_of(change: Change) -> str:
    """Return the change as a unified diff; a new file is shown as nothing but additions."""
    lines = difflib.unified_diff(
        change.shown_old.splitlines(),
        change.shown_new.splitlines(),
        fromfile="/dev/null" if change.old is None else str(change.path),
        tofile=str(change.path),
        lineterm="",
    )
    return "\n".join(lines)


def real_path(path: Path) -> Path:
    """Return the file behind a link (people keep such files elsewhere and link to them)."""
    return path.resolve() if path.is_symlink() else path


def write_kept(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replace a file of the person's at once. mode: of a new file; None: 0600. An old one keeps its mode.

    Raises OSError.
    """
    target = real_path(path)
    try:
        wanted = target.stat().st_mode & 0o777
    except FileNotFoundError:
        wanted = mode or FILE_MODE
    draft = draft_beside(target, data)
    try:
        draft.chmod(wanted)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def write_config(change: Change, *, stamp: str) -> Path | None:
    """Write config.json for its owner alone; return where the old one is kept, None when there was none.

    stamp: a time that sorts as text, for the backup's name; the newest few backups stay. Raises OSError.
    """
    target = real_path(change.path)
    make_private_folder(change.path.parent)
    clear_drafts(change.path.parent)
    backup = None
    if change.old is not None:
        backup = change.path.with_name(f"{change.path.name}.bak-{stamp}")
        write_private(backup, change.old)
    write_private(target, change.new)
    for old in backups_of(change.path)[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)
    return backup


def backups_of(path: Path) -> Sequence[Path]:
    """Return the backups of a file that `write_config` made, the oldest first."""
    prefix = f"{path.name}.bak-"
    names = sorted(name for name in os.listdir(path.parent) if name.startswith(prefix))  # noqa: PTH208 - names
    return [path.with_name(name) for name in names if not DRAFT.fullmatch(name)]
