"""What was kept of finished requests, for the page: figures of a period, and single requests. Reads alone."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, get_args

from ccr.config.load import load_config
from ccr.errors import CcrError, RequestError, StoreError
from ccr.store.read import Filters, open_read_only, prices_of, recent_requests, usage_report
from ccr.store.reading import By

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths

GROUPS: Final[tuple[By, ...]] = tuple(by for by in get_args(By) if by != "day")
MAX_DAYS: Final = 3660
PAGE_ROWS: Final = 50


def usage(
    paths: Paths, environ: Mapping[str, str], query: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    """Return the figures by day and by what was chosen. now: aware, in this machine's time zone.

    query: ``days`` until now (0: all there are), ``by``. Raises RequestError, StoreError.
    """
    days, wanted = _number(query, "days", MAX_DAYS), query.get("by", "model")
    by = next((by for by in GROUPS if by == wanted), None)
    if by is None:
        raise RequestError(f"figures are grouped by {', '.join(GROUPS)}")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - dt.timedelta(days=days - 1) if days else None
    config = None
    with suppress(CcrError):  # without the person's own prices then
        config = load_config(paths, environ)
    prices = prices_of(config)
    try:
        with open_read_only(paths.usage_file) as reader:
            by_day = usage_report(reader, since, None, "day", prices).to_dict()
            grouped = usage_report(reader, since, None, by, prices).to_dict()
    except StoreError as error:
        return _nothing(error)
    return {
        "exists": True,
        "days": by_day["lines"],
        "groups": grouped["lines"],
        "total": by_day["total"],
        "first": since.date().isoformat() if since is not None else None,
        "today": now.date().isoformat(),
    }


def requests(paths: Paths, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the newest requests that fit. query: as `Filters`, and ``before``, an id. Raises StoreError."""
    filters = Filters(
        only_errors=query.get("errors") == "1",
        session=query.get("session") or None,
        model=query.get("model") or None,
        provider=query.get("provider") or None,
        text=query.get("text") or None,
    )
    before = _number(query, "before", 2**63 - 1) or None
    try:
        with open_read_only(paths.usage_file) as reader:
            rows = recent_requests(reader, filters, PAGE_ROWS + 1, before)
    except StoreError as error:
        return _nothing(error)
    shown = [row.to_dict() for row in rows[:PAGE_ROWS]]
    return {"exists": True, "requests": shown, "has_more": len(rows) > PAGE_ROWS}


def _nothing(error: StoreError) -> dict[str, Any]:
    """Return what is said when nothing was kept yet; raises anything that is a fault."""
    if error.reason != "missing":
        raise error
    return {"exists": False, "sentence": str(error)}


def _number(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name, "0")
    if not (text.isascii() and text.isdecimal()) or int(text[:20]) > most:
        raise RequestError(f"{name} is a whole number up to {most}")
    return int(text)
