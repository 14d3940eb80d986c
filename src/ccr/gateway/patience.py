"""How long a stream may be silent, to the client and from the upstream. Numbers, one decision, no clock.

The client's watchdog ends a stream after 300 s without an event, and a ``ping`` does not count as one
(observed with 2.1.197); an empty delta does. Proxies and laptops between drop connections without bytes, so
pings go out early.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ccr.config.model import Timeouts

Word = Literal["ping", "keep_alive", "give_up"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. idle_s: an upstream that sends nothing for so long has failed.

    first_event_s: how long a stream's first event, which may be an error, is waited for once there is a head;
    then the client is told that its answer begins.
    first_byte_s: how long it may be silent before the first byte of its answer's body; None: idle_s.
    last_bytes_s: once the upstream gave its finish_reason, how long to wait for token counts and the end.
    """

    first_event_s: float = 1.0
    ping_s: float = 15.0
    keep_alive_after_s: float = 120.0
    keep_alive_every_s: float = 60.0
    idle_s: float = 120.0
    first_byte_s: float | None = None
    last_bytes_s: float = 3.0

    def with_provider(self, timeouts: Timeouts) -> Patience:
        """Return the patience with a provider, which may say something else."""
        if timeouts.idle_s is None and timeouts.first_byte_s is None:
            return self
        return replace(
            self,
            idle_s=timeouts.idle_s or self.idle_s,
            first_byte_s=timeouts.first_byte_s or self.first_byte_s,
        )

    @property
    def begin_s(self) -> float:
        """How long the first event of a stream is waited for before anything goes to the client."""
        return min(self.first_event_s, self.ping_s)

    @property
    def whole_s(self) -> float:
        """How long an answer that comes in one piece may be silent: it is made while nothing is sent."""
        return max(self.idle_s, self.first_byte_s or 0.0)


class Silence:
    """How long nothing came from the upstream and nothing worth an event went to the client."""

    __slots__ = ("_event_at", "_idle_s", "_limit_s", "_patience", "_sent_at")

    def __init__(self, patience: Patience, now: float, *, waited_s: float = 0.0) -> None:
        """Begin; waited_s: how long the upstream has been silent already."""
        self._patience = patience
        self._sent_at = now - waited_s
        self._event_at = now - waited_s
        self._idle_s = waited_s
        self._limit_s = patience.first_byte_s or patience.idle_s

    def sent(self, now: float) -> None:
        """Note that events went to the client."""
        self._sent_at = now
        self._event_at = now
        self._idle_s = 0.0

    def heard(self) -> None:
        """Note that the upstream sent something, be it only a comment."""
        self._idle_s = 0.0
        self._limit_s = self._patience.idle_s

    @property
    def limit_s(self) -> float:
        """How long the upstream may be silent by now."""
        return self._limit_s

    @property
    def wait_s(self) -> float:
        """How long to wait for the upstream before `word` is asked again."""
        return max(0.0, min(self._patience.ping_s, self._limit_s - self._idle_s))

    def waited(self, seconds: float) -> None:
        """Note a wait in which nothing came; time in which the client takes no bytes does not count."""
        self._idle_s += seconds

    def word(self, now: float) -> Word | None:
        """Return what is due now, None when nothing is."""
        patience = self._patience
        if self._idle_s >= self._limit_s:
            return "give_up"
        if now - self._sent_at < patience.ping_s:
            return None
        self._sent_at = now
        if now - self._event_at < patience.keep_alive_after_s:
            return "ping"
        self._event_at = now - (patience.keep_alive_after_s - patience.keep_alive_every_s)
        return "keep_alive"
