"""Counters since the start: what was asked, how it ended, which rules changed something, what it cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccr.gateway.record import Record


class Metrics:
    """Plain numbers; written by one event loop only."""

    def __init__(self) -> None:
        self.active = 0
        self._outcomes: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._rules: Counter[str] = Counter()
        self._routes: dict[str, Counter[str]] = {}
        self._retries = 0
        self._fallbacks = 0

    def begin(self) -> None:
        """Count a request that begins."""
        self.active += 1

    def end(self, record: Record) -> None:
        """Count a request that ended."""
        self.active -= 1
        self._outcomes[record.outcome] += 1
        self._statuses[record.status] += 1
        self._rules.update(record.rules)
        self._retries += record.effort.retries
        self._fallbacks += record.is_fallback
        if record.provider:
            counts = self._routes.setdefault(f"{record.provider},{record.upstream_model}", Counter())
            counts["requests"] += 1
            counts[record.outcome] += 1
            if record.usage is not None:
                counts["input_tokens"] += record.usage.input_tokens
                counts["output_tokens"] += record.usage.output_tokens
                counts["cache_read_input_tokens"] += record.usage.cache_read_input_tokens
                counts["cache_creation_input_tokens"] += record.usage.cache_creation_input_tokens

    def snapshot(self) -> dict[str, Any]:
        """Return all numbers as plain values; later counting does not change them."""
        return {
            "active": self.active,
            "requests": dict(self._outcomes),
            "statuses": {str(status): count for status, count in self._statuses.items()},
            "rules": dict(self._rules),
            "retries": self._retries,
            "fallbacks": self._fallbacks,
            "routes": {route: dict(counts) for route, counts in self._routes.items()},
        }
