"""Which settings files ccr has changed, and how they were before: ``connections.json`` and ``backups/``.

A file that nobody touched since is taken back to the byte; from any other one only ccr's keys are taken out.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ccr.config.private import make_folder, make_private_folder, read_private, write_private
from ccr.errors import StartError
from ccr.setup.client_settings import (
    Before,
    Ours,
    before_of,
    bytes_from_settings,
    settings_from,
    settings_with,
    settings_without,
    shown_settings,
)
from ccr.setup.plan import Change, content_of, write_kept

if TYPE_CHECKING:
    from ccr.config.paths import Paths

FILE_NAME: Final = "connections.json"
MAX_FILE_BYTES: Final = 1 << 20


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file. digest: of what was written; backup: file of the original, None when there was none.

    made_folder: whether the folder of the file was made for it.
    """

    ours: Ours
    before: Before
    digest: str
    backup: str | None = None
    made_folder: bool = False


@dataclass(frozen=True)
class Removal:
    """How a file gets rid of ccr's keys. change: None when the file is gone. is_exact: back to the byte."""

    change: Change | None
    is_exact: bool
    deletes: bool = False
    kept: tuple[str, ...] = ()


def read_connections(paths: Paths) -> dict[str, Connection]:
    """Return settings file -> how ccr changed it. Raises StartError on a damaged record."""
    path = paths.home / FILE_NAME
    try:
        data = read_private(path, limit_bytes=MAX_FILE_BYTES)
        return msgspec.json.decode(data, type=dict[str, Connection])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(
            f"{path} cannot be read ({type(error).__name__}); the backups are in backups/."
        ) from error


def plan_connection(paths: Paths, file: Path, ours: Ours) -> tuple[Change, bytes | None, Before]:
    """Return the change that connects a settings file, the original to keep, and what ours replaces.

    Connecting again begins from the file without the earlier keys. Raises StartError.
    """
    old = content_of(file)
    original, settings = old, settings_from(old, str(file))
    earlier = read_connections(paths).get(str(file))
    if earlier is not None and old is not None:
        if digest_of(old) == earlier.digest:
            original = _backup_of(earlier)
            settings = settings_from(original, str(file))
        else:
            settings, _ = settings_without(settings, earlier.ours, earlier.before)
            original = bytes_from_settings(settings, old)
    new = bytes_from_settings(settings_with(settings, ours), original)
    change = Change(file, old, new, shown_settings(old), shown_settings(new))
    return change, original, before_of(settings)


def connect(paths: Paths, change: Change, original: bytes | None, before: Before, ours: Ours) -> None:
    """Keep the original, record the connection, write the file, in this order. Raises OSError, StartError."""
    folder = paths.home / "backups"
    make_private_folder(folder)
    backup = None
    if original is not None:
        name = hashlib.sha256(str(change.path).encode()).hexdigest()[:12]
        backup = folder / f"{change.path.name}-{name}"
        write_private(backup, original)
    connections = read_connections(paths)
    earlier = connections.get(str(change.path))
    made_folder = not change.path.parent.exists() or (earlier is not None and earlier.made_folder)
    record = Connection(
        ours=ours,
        before=before,
        digest=digest_of(change.new),
        backup=str(backup) if backup else None,
        made_folder=made_folder,
    )
    _write_connections(paths, {**connections, str(change.path): record})
    make_folder(change.path.parent)
    write_kept(change.path, change.new)


def plan_removal(file: Path, connection: Connection) -> Removal:
    """Return how the file is taken back. Raises StartError when it, or its backup, cannot be read."""
    old = content_of(file)
    if old is None:
        return Removal(None, is_exact=False)
    if digest_of(old) == connection.digest:
        original = _backup_of(connection)
        change = Change(file, old, original or b"", shown_settings(old), shown_settings(original))
        return Removal(change, is_exact=True, deletes=original is None)
    settings, kept = settings_without(settings_from(old, str(file)), connection.ours, connection.before)
    new = bytes_from_settings(settings, old)
    change = Change(file, old, new, shown_settings(old), shown_settings(new))
    return Removal(change, is_exact=False, kept=tuple(kept))


def disconnect(paths: Paths, file: Path, removal: Removal, connection: Connection) -> None:
    """Carry a removal out and forget the connection. Raises OSError."""
    if removal.change is not None and removal.deletes:
        file.unlink(missing_ok=True)
        if connection.made_folder:
            with contextlib.suppress(OSError):  # something else lies in it by now
                file.parent.rmdir()
    elif removal.change is not None:
        write_kept(file, removal.change.new)
    connections = read_connections(paths)
    connections.pop(str(file), None)
    _write_connections(paths, connections)
    if connection.backup is not None:
        Path(connection.backup).unlink(missing_ok=True)


def digest_of(data: bytes) -> str:
    """Return what tells whether a file is as it was written."""
    return hashlib.sha256(data).hexdigest()


def _backup_of(connection: Connection) -> bytes | None:
    if connection.backup is None:
        return None
    data = content_of(Path(connection.backup))
    if data is None:
        raise StartError(f"The backup {connection.backup} is gone; take ccr's keys out of the file by hand.")
    return data


def _write_connections(paths: Paths, connections: dict[str, Connection]) -> None:
    make_private_folder(paths.home)
    write_private(paths.home / FILE_NAME, msgspec.json.encode(connections) + b"\n")
