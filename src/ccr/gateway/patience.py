"""How long a stream may be silent, to the client and from the upstream. Numbers, one decision, no clock.

The client's watchdog ends a stream after 300 s without an event, and a ``ping`` does not count as one
(observed with 2.1.197); an empty delta does. Proxies and laptops between drop connections without bytes, so
pings go out early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["ping", "keep_alive", "give_up"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. idle_s: an upstream that sends nothing for so long has failed.

    last_bytes_s: once the upstream gave its finish_reason, how long to wait for token counts and the end.
    """

    ping_s: float = 15.0
    keep_alive_after_s: float = 120.0
    keep_alive_every_s: float = 60.0
    idle_s: float = 300.0
    last_bytes_s: float = 3.0


class Silence:
    """How long nothing came from the upstream and nothing worth an event went to the client."""

    __slots__ = ("_event_at", "_idle_s", "_patience", "_sent_at")

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._sent_at = now
        self._event_at = now
        self._idle_s = 0.0

    def sent(self, now: float) -> None:
        """Note that events went to the client."""
        self._sent_at = now
        self._event_at = now
        self._idle_s = 0.0

    def heard(self) -> None:
        """Note that the upstream sent something, be it only a comment."""
        self._idle_s = 0.0

    def waited(self, seconds: float) -> None:
        """Note a wait in which nothing came; time in which the client takes no bytes does not count."""
        self._idle_s += seconds

    def word(self, now: float) -> Word | None:
        """Return what is due now, None when nothing is."""
        patience = self._patience
        if self._idle_s >= patience.idle_s:
            return "give_up"
        if now - self._sent_at < patience.ping_s:
            return None
        self._sent_at = now
        if now - self._event_at < patience.keep_alive_after_s:
            return "ping"
        self._event_at = now - (patience.keep_alive_after_s - patience.keep_alive_every_s)
        return "keep_alive"
