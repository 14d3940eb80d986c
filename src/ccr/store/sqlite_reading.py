"""The database as a `Reader`: opened read-only, while another process may be writing."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from ccr.errors import StoreError
from ccr.store.migrations import VERSION
from ccr.store.reading import Sums
from ccr.store.records import RequestRow

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from ccr.store.reading import By
    from ccr.store.records import Filters

BUSY_S: Final = 5.0
BROKEN: Final = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
NO_FILES: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What is said where no file can be made beside the database."""
NEWER: Final = (
    "{path} was made by a newer ccr (tables of version {version}, this one knows {known}): it is left alone. "
    "Update ccr, or move the file away."
)
OLDER: Final = (
    "{path} has no tables of this ccr yet: the service makes them when it records its next request."
)
KEYS: Final[dict[By, str]] = {
    "day": "strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch', 'localtime')",
    "model": "nullif(upstream_model, '')",
    "provider": "nullif(provider, '')",
    "session": "session",
    "project": "project",
    "rule": "nullif(rule, '')",
    "agent": "agent",
}
"""What groups are made of -> its expression."""
IS_STREAM: Final = "stream AND outcome = 'ok' AND output_tokens > 0 AND first_byte_ms IS NOT NULL"
SUMS: Final = f"""
    provider, upstream_model, count(*), sum(outcome = 'error'), sum(outcome = 'cancelled'),
    sum(outcome = 'ok' AND output_tokens IS NULL), count(output_tokens),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cache_read_input_tokens), 0), coalesce(sum(cache_creation_input_tokens), 0),
    coalesce(sum(CASE WHEN {IS_STREAM} THEN output_tokens END), 0),
    coalesce(sum(CASE WHEN {IS_STREAM} THEN ms - first_byte_ms END), 0),
    coalesce(sum(first_byte_ms), 0), count(first_byte_ms), max(at_ms)
"""
FROM: Final = "FROM requests LEFT JOIN sessions USING (session)"
SELECTED: Final = ", ".join(RequestRow._fields)


def open_read_only(path: Path) -> SqliteReader:
    """Open the database for reading. Raises StoreError: missing, newer, broken, unusable."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise StoreError("missing", f"Nothing was recorded yet: there is no {path}.") from None
    except OSError as error:
        raise StoreError("unusable", f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise StoreError("unusable", f"{path} is not a regular file; it is not followed. Move it away.")
    with told(path):
        connection = _connected(path)
    reader = SqliteReader(path, connection)
    try:
        reader.check()
    except BaseException:  # nobody else has it yet to close it
        reader.close()
        raise
    return reader


def _connected(path: Path) -> sqlite3.Connection:
    """Connect; also in a folder that cannot be written, where SQLite can make no files for its readers."""
    address = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if kind_of(error) not in NO_FILES or _is_being_written(path):
            raise
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection


def _is_being_written(path: Path) -> bool:
    """Tell whether something stands in the file beside it that goes into the database later."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


class SqliteReader:
    """A `Reader` of a database in a file. Not for several threads at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def check(self) -> None:
        """Raise StoreError when it is of another version, or no database."""
        with told(self._path):
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError("newer", NEWER.format(path=self._path, version=version, known=VERSION))
        if version < VERSION:
            # A reader changes nothing.
            raise StoreError("missing", OLDER.format(path=self._path))

    def sums(self, by: By, since: dt.datetime | None, until: dt.datetime | None) -> list[Sums]:
        """Return the figures of all groups in a period."""
        where, values = _period(since, until)
        query = f"SELECT {KEYS[by]}, {SUMS} {FROM} {where} GROUP BY 1, 2, 3"
        with told(self._path):
            return [Sums(*row) for row in self._connection.execute(query, values)]

    def requests(self, filters: Filters, limit: int, before: int | None) -> list[RequestRow]:
        """Return the newest requests first."""
        where, values = _conditions(filters, before)
        query = f"SELECT {SELECTED} {FROM} {where} ORDER BY id DESC LIMIT :limit"
        with told(self._path):
            rows = self._connection.execute(query, {**values, "limit": limit}).fetchall()
        return [_row(RequestRow(*row)) for row in rows]

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise what SQLite raises as StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        if kind_of(error) in BROKEN:
            raise StoreError("broken", f"{path} is damaged, or no database ({error}).") from error
        raise StoreError("unusable", f"{path} cannot be used: {error}.") from error


def kind_of(error: sqlite3.Error) -> int | None:
    """Return SQLite's number for what went wrong, without its details; None where it is not SQLite's."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _row(row: RequestRow) -> RequestRow:
    return row._replace(stream=bool(row.stream), fallback=bool(row.fallback))


def _period(since: dt.datetime | None, until: dt.datetime | None) -> tuple[str, dict[str, Any]]:
    conditions: dict[str, Any] = {}
    parts = []
    if since is not None:
        parts.append("at_ms >= :since")
        conditions["since"] = _ms(since)
    if until is not None:
        parts.append("at_ms < :until")
        conditions["until"] = _ms(until)
    return f"WHERE {' AND '.join(parts)}" if parts else "", conditions


def _conditions(filters: Filters, before: int | None) -> tuple[str, dict[str, Any]]:
    where, values = _period(filters.since, filters.until)
    parts = [where.removeprefix("WHERE ")] if where else []
    wanted: dict[str, tuple[str, Any]] = {
        "only_errors": ("outcome = 'error'", filters.only_errors or None),
        "session": ("session LIKE :session ESCAPE '\\'", _like(filters.session, "{}%")),
        "model": (
            "(model LIKE :model ESCAPE '\\' OR upstream_model LIKE :model ESCAPE '\\')",
            _like(filters.model, "%{}%"),
        ),
        "provider": ("provider = :provider", filters.provider),
        "text": (f"({_anywhere('text')})", _like(filters.text, "%{}%")),
        "before": ("id < :before", before),
    }
    for name, (condition, value) in wanted.items():
        if value is not None:
            parts.append(condition)
            values[name] = value
    return f"WHERE {' AND '.join(parts)}" if parts else "", values


def _anywhere(name: str) -> str:
    columns = ("error", "error_type", "model", "upstream_model", "request_id", "session", "project")
    return " OR ".join(f"{column} LIKE :{name} ESCAPE '\\'" for column in columns)


def _like(text: str | None, form: str) -> str | None:
    """Return a pattern in which the text stands for itself."""
    if text is None:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return form.format(escaped)


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
