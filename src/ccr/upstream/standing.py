"""How a provider stands: what is known of its keys, its routes and its load while the process lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccr.upstream.breaker import Breaker
from ccr.upstream.keys import Keys
from ccr.upstream.limits import Places
from ccr.upstream.retry import Budget

if TYPE_CHECKING:
    from ccr.config.model import Provider

MAX_BREAKERS: Final = 256


class Standing:
    """One provider's. keys: None where it has none of its own."""

    def __init__(self, provider: Provider) -> None:
        network = provider.network
        self.provider = provider
        self.places = Places(provider.name, most=network.max_concurrent, most_waiting=network.max_queued)
        self.budget = Budget()
        self.keys = None if provider.api_key is None else Keys((provider.api_key, *provider.more_keys))
        self.retried = 0
        self._breakers: dict[str, Breaker] = {}

    def breaker(self, model: str) -> Breaker:
        """Return the breaker of a model's route."""
        if model not in self._breakers and len(self._breakers) == MAX_BREAKERS:
            self._breakers.clear()
        return self._breakers.setdefault(model, Breaker())

    def snapshot(self, now: float) -> dict[str, Any]:
        """Return what a person may want to know. now: monotonic seconds."""
        snapshot: dict[str, Any] = {
            "active": self.places.taken,
            "queued": self.places.waiting,
            "refused_by_queue": self.places.refused,
            "retries": self.retried,
            "breakers": {
                model: {"state": breaker.state(now), "opened": breaker.opened, "reason": breaker.reason}
                for model, breaker in self._breakers.items()
                if breaker.opened
            },
        }
        if self.keys is not None and self.provider.more_keys:
            snapshot["keys"] = self.keys.snapshot(now)
        return snapshot
