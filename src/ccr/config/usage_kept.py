"""``USAGE``, ``USAGE_DAYS``, ``USAGE_MAX_MB``: what is kept of finished requests, for ``ccr usage``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccr.config.model import UsageKept

if TYPE_CHECKING:
    from ccr.config.section import Section

KEYS: Final = ("USAGE", "USAGE_DAYS", "USAGE_MAX_MB")
MOST_DAYS: Final = 36_500
MOST_MB: Final = 100_000
MB: Final = 1_000_000


def usage_kept_from(root: Section) -> UsageKept:
    """Read the three keys."""
    return UsageKept(
        is_kept=root.boolean("USAGE", default=True),
        days=root.integer("USAGE_DAYS", UsageKept.days, 1, MOST_DAYS),
        max_bytes=root.integer("USAGE_MAX_MB", UsageKept.max_bytes // MB, 1, MOST_MB) * MB,
    )


def usage_kept_shown(kept: UsageKept) -> dict[str, Any]:
    """Return what the three keys would have to hold."""
    return dict(zip(KEYS, (kept.is_kept, kept.days, kept.max_bytes // MB), strict=True))
