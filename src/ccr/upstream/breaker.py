"""When a route that keeps failing is left alone for a while. Pure; ``now`` in monotonic seconds.

    closed   --5 failures in a row-->   open
    open     --15 s-->                  half-open: one request is let through to see (the probe)
    half-open --the probe is answered--> closed
    half-open --the probe fails-->       open, for another 15 s

While it is open requests fail at once instead of after time-outs and retries. A probe whose client leaves
proves nothing: the next request is the probe.
"""

from __future__ import annotations

from typing import Final, Literal

MAX_FAILURES: Final = 5
OPEN_S: Final = 15.0

State = Literal["closed", "open", "half_open"]


class Breaker:
    """The breaker of one route. Whoever is admitted says how it went, in exactly one of three ways."""

    def __init__(self, *, max_failures: int = MAX_FAILURES, open_s: float = OPEN_S) -> None:
        self._max_failures = max_failures
        self._open_s = open_s
        self._failures = 0
        self._open_until: float | None = None
        self._is_probing = False
        self.opened = 0
        """How often it has opened."""
        self.reason = ""
        """Why it opened the last time."""

    def state(self, now: float) -> State:
        """Return its state."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half_open"

    def wait_s(self, now: float) -> float | None:
        """Return None when a request may go out, else the seconds until it is worth asking again."""
        if self._open_until is None:
            return None
        if now < self._open_until:
            return self._open_until - now
        return 1.0 if self._is_probing else None

    def admit(self, now: float) -> bool:
        """Let a request out, if one may go; in half-open state it is the probe."""
        if self.wait_s(now) is not None:
            return False
        self._is_probing = self._open_until is not None
        return True

    def succeeded(self) -> None:
        """Note that the upstream is there: it gave an answer, be it a refusal of the request."""
        self._failures = 0
        self._open_until = None
        self._is_probing = False

    def failed(self, now: float, reason: str) -> None:
        """Note that the upstream is in trouble."""
        self._failures += 1
        is_probe, self._is_probing = self._is_probing, False
        if is_probe or (self._open_until is None and self._failures >= self._max_failures):
            self._open_until = now + self._open_s
            self.opened += 1
            self.reason = reason

    def abandoned(self) -> None:
        """Note that a request that was let out came to no end: its client left, or its token was missing."""
        self._is_probing = False
