"""Reading what was kept: the way in for commands and pages. Nothing here writes.

with open_read_only(paths.usage_file) as reader:
    report = usage_report(reader, since, until, "model", prices_of(config))
    newest = recent_requests(reader, Filters(only_errors=True), limit=50)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.store.prices import prices_of
from ccr.store.records import Filters, RequestRow
from ccr.store.report import Report, usage_report
from ccr.store.sqlite_reading import open_read_only

if TYPE_CHECKING:
    from ccr.store.reading import Reader

__all__ = [
    "Filters",
    "Report",
    "RequestRow",
    "open_read_only",
    "prices_of",
    "recent_requests",
    "usage_report",
]


def recent_requests(
    reader: Reader, filters: Filters | None = None, limit: int = 50, before: int | None = None
) -> list[RequestRow]:
    """Return requests, the newest first. before: the ``id`` of the last one of the page before.

    Raises StoreError.
    """
    return list(reader.requests(filters or Filters(), limit, before))
