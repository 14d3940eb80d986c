"""Rows and databases made by hand, for whoever reads them."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.store.migrations import MIGRATIONS, VERSION
from ccr.store.records import RequestRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PLAIN = RequestRow(
    id=0,
    at_ms=1_790_000_000_000,
    request_id="req_1",
    session="5e55-10",
    agent="claude-cli/2.1.0",
    project=None,
    client_route="messages",
    model="claude-sonnet-4-6",
    provider="databricks",
    upstream_model="databricks-claude-sonnet-4-6",
    rule="default",
    stream=True,
    outcome="ok",
    status=200,
    error_type=None,
    error=None,
    stop_reason="end_turn",
    input_tokens=100,
    output_tokens=50,
    cache_read_input_tokens=900,
    cache_creation_input_tokens=0,
    first_byte_ms=500.0,
    ms=1500.0,
    retries=0,
    fallback=False,
)
"""A usual request; others are made with ``_replace``."""
COLUMNS = tuple(name for name in RequestRow._fields if name not in ("id", "project"))


def failed(**changes: Any) -> RequestRow:
    """Return a request that its upstream refused."""
    values = {
        "outcome": "error",
        "status": 429,
        "error_type": "rate_limit_error",
        "error": "too many requests",
        "stop_reason": None,
        **dict.fromkeys(name for name in RequestRow._fields if name.endswith("_tokens")),
        "first_byte_ms": None,
        **changes,
    }
    return PLAIN._replace(**values)


def make_database(path: Path, rows: Iterable[RequestRow], projects: Mapping[str, str] | None = None) -> None:
    """Write a database with some rows. projects: session -> its folder."""
    marks = ", ".join(f":{name}" for name in COLUMNS)
    connection = sqlite3.connect(path)
    for statement in (statement for step in MIGRATIONS for statement in step):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    with connection:
        connection.executemany(
            f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608 - of this module
            [row._asdict() for row in rows],
        )
        connection.executemany("INSERT INTO sessions VALUES (?, ?)", (projects or {}).items())
    connection.close()


@contextmanager
def readable_only(being_written: bytes = b"") -> Iterator[Path]:
    """Give a folder with a database in which this process may write nothing; root is somebody else meanwhile.

    being_written: what stands in the file beside the database.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_database(folder / "usage.sqlite", [PLAIN])
        connection = sqlite3.connect(folder / "usage.sqlite")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        (folder / "usage.sqlite").chmod(0o444)
        if being_written:
            (folder / "usage.sqlite-wal").write_bytes(being_written)
            (folder / "usage.sqlite-wal").chmod(0o444)
        folder.chmod(0o555)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if me == 0:
                os.seteuid(0)
            folder.chmod(0o755)
