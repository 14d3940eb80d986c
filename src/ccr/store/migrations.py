"""The tables of the database, as a list of steps: a database has done as many of them as its version says.

A step that was published never changes; what is needed more is a further step at the end.
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE requests (
            id INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            request_id TEXT NOT NULL,
            session TEXT,
            agent TEXT,
            client_route TEXT NOT NULL,
            model TEXT NOT NULL,
            provider TEXT NOT NULL,
            upstream_model TEXT NOT NULL,
            rule TEXT NOT NULL,
            stream INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            error_type TEXT,
            error TEXT,
            stop_reason TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_input_tokens INTEGER,
            cache_creation_input_tokens INTEGER,
            first_byte_ms REAL,
            ms REAL NOT NULL,
            retries INTEGER NOT NULL,
            fallback INTEGER NOT NULL
        )""",
        "CREATE INDEX requests_at ON requests (at_ms)",
        "CREATE TABLE sessions (session TEXT PRIMARY KEY, project TEXT NOT NULL) WITHOUT ROWID",
    ),
)
"""Statements of each step. sessions: the folder of each, often known only after its first request."""
VERSION: Final = len(MIGRATIONS)
"""``PRAGMA user_version`` of a database that is up to date."""
