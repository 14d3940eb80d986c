"""When a token ends, for a person."""

from __future__ import annotations

from datetime import UTC, datetime


def expiry_text(expires_at: float | None) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, ``unknown`` when they are not known or no date."""
    if expires_at is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(int(expires_at), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "unknown"
