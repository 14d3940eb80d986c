"""The database as it is written: made when it is missing, brought up to date, and kept within its bounds.

Several processes may write at a time (one service follows another): SQLite's write-ahead log and a time of
waiting for the other's lock make that safe. A damaged file is set aside, one of a newer ccr left alone.
"""

from __future__ import annotations

import contextlib
import operator
import os
import sqlite3
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ccr.config.private import FILE_MODE
from ccr.errors import StoreError
from ccr.store.migrations import MIGRATIONS, VERSION
from ccr.store.records import RequestRow
from ccr.store.sqlite_reading import NEWER, kind_of, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

BUSY_S: Final = 2.0
"""How long another process may hold the lock; then the rows wait for the next time."""
SETTINGS: Final = (
    "PRAGMA auto_vacuum = INCREMENTAL",  # so that old rows give room back; counts before the first table
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # a power cut may take the last rows, never the database
    "PRAGMA cache_size = -256",
    "PRAGMA journal_size_limit = 1048576",
)
BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite appends to the name of the database for files of its own."""
ASIDE: Final = ".broken"
LEFT_SHARE: Final = 10
"""Of a database that is too large one part in so many goes, the oldest requests."""
FREED_PAGES: Final = 10_000
values_of: Final = operator.itemgetter(
    *(index for index, name in enumerate(RequestRow._fields) if name not in ("id", "project"))
)
COLUMNS: Final[tuple[str, ...]] = values_of(RequestRow._fields)
INSERT: Final = "INSERT INTO requests ({}) VALUES ({})".format(  # noqa: S608 - names of this module
    ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
)
BELONGS: Final = """
    INSERT INTO sessions (session, project) VALUES (?, ?)
    ON CONFLICT (session) DO UPDATE SET project = excluded.project
"""
OLDEST: Final = "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY id LIMIT ?)"
ORPHANS: Final = (
    "DELETE FROM sessions WHERE session NOT IN (SELECT session FROM requests WHERE session NOTNULL)"
)


class SqliteStore:
    """Writes requests into a database in a file, for one thread at a time. ``close`` it.

    warn: told that a damaged database was set aside.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def write(self, rows: Sequence[RequestRow], projects: Mapping[str, str]) -> None:
        """Write all rows, or none. projects: session -> its folder. Raises StoreError."""
        try:
            self._write(rows, projects)
        except StoreError as error:
            self.close()
            if error.reason != "broken" or not self._set_aside():
                raise
            self._warn(f"{error} It was renamed to {self._path.name}{ASIDE}, and a new one begun.")
            self._write(rows, projects)

    def prune(self, before_ms: int, max_bytes: int) -> int:
        """Delete what began earlier, and the oldest requests of a database that is larger; return how many.

        Raises StoreError.
        """
        with self._transaction() as connection:
            gone = connection.execute("DELETE FROM requests WHERE at_ms < ?", (before_ms,)).rowcount
            if self._size(connection) > max_bytes:
                (count,) = connection.execute("SELECT count(*) FROM requests").fetchone()
                gone += connection.execute(OLDEST, (max(1, count // LEFT_SHARE),)).rowcount
            if gone:
                connection.execute(ORPHANS)
        if gone:
            with told(self._path):
                # A script is stepped to its end; `execute` would free a single page.
                connection.executescript(f"PRAGMA incremental_vacuum({FREED_PAGES})")
        return gone

    def is_larger_than(self, max_bytes: int) -> bool:
        """Tell whether what is in it takes more room. Raises StoreError."""
        with told(self._path):
            return self._size(self._opened()) > max_bytes

    def close(self) -> None:
        """Close it; the next call opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = self._file = None

    def _write(self, rows: Sequence[RequestRow], projects: Mapping[str, str]) -> None:
        with self._transaction() as connection:
            connection.executemany(INSERT, [values_of(row) for row in rows])
            connection.executemany(BELONGS, projects.items())

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with told(self._path):
            connection = self._opened()
            with _all_or_nothing(connection):
                yield connection

    def _opened(self) -> sqlite3.Connection:
        """Return the connection to the file that has the name now: it may have been removed or set aside."""
        if self._connection is not None and _identity(self._path) == self._file:
            return self._connection
        self.close()
        try:
            prepare(self._path)
        except OSError as error:
            raise StoreError(
                "unusable", f"{self._path} cannot be used: {error.strerror or error}."
            ) from error
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=8
        )
        self._connection, self._file = connection, _identity(self._path)
        self._refuse_newer(_version(connection))  # before anything is set in it
        for setting in SETTINGS:
            _set(connection, setting)
        self._bring_up_to_date(connection)
        return connection

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == VERSION:
            return
        with _all_or_nothing(connection):
            version = _version(connection)  # by now: another process may have been faster
            self._refuse_newer(version)
            for statement in (statement for step in MIGRATIONS[version:] for statement in step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _refuse_newer(self, version: int) -> None:
        if version > VERSION:
            raise StoreError("newer", NEWER.format(path=self._path, version=version, known=VERSION))

    def _set_aside(self) -> bool:
        """Rename the database; the one that was set aside before goes. False where that cannot be done."""
        aside = self._path.with_name(self._path.name + ASIDE)
        try:
            self._path.replace(aside)
            for suffix in BESIDE:
                beside = self._path.with_name(self._path.name + suffix)
                if os.path.lexists(beside):
                    beside.replace(aside.with_name(aside.name + suffix))
        except OSError:
            return False
        return True

    @staticmethod
    def _size(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # whatever it was, half of it must not stay
        with contextlib.suppress(sqlite3.Error):  # the first failure is the one to tell
            connection.execute("ROLLBACK")
        raise


def prepare(path: Path) -> None:
    """Make the file, for its owner alone, where it is missing. Raises OSError; a link is not followed.

    An existing file is not opened here: closing it would free the locks that this process has on it
    (source: SQLite, "How To Corrupt An SQLite Database File", §2.2).
    """
    for suffix in BESIDE:
        beside = path.with_name(path.name + suffix)
        if os.path.lexists(beside) and not stat.S_ISREG(beside.lstat().st_mode):
            raise OSError(f"{beside} is not a regular file")
    try:
        status = path.lstat()
    except FileNotFoundError:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a regular file, and not followed")
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        path.chmod(FILE_MODE)


def _set(connection: sqlite3.Connection, setting: str) -> None:
    try:
        connection.execute(setting).fetchall()
    except sqlite3.OperationalError as error:
        if kind_of(error) != sqlite3.SQLITE_BUSY:
            raise
        # Another process is at it this moment, and sets the same; SQLite does not wait for this lock.


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
