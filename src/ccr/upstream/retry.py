"""Whether a request that failed may be sent again, and after which pause. Pure.

A model's answer costs money, so a request is only repeated when the upstream cannot have worked on it, or
said itself that it did not; and never once the client has received something. The client repeats requests,
too, up to ten times: more than `MAX_ATTEMPTS` here would multiply with that.

    what failed                          sent again
    no connection, name not resolved     after 0.2 to 1 s
    dead pooled connection               at once, on a new connection (and not counted)
    no connection in time, TLS, proxy    never
    closed without an answer, too late   never: it may have been worked on
    408, 409                             after 0.2 to 1 s
    429                                  after Retry-After, if that is at most 5 s; by another key at once
    500, 502, 503, 504, 529              the same; without Retry-After after 0.2 to 1 s
    401, 403                             by another key at once
    501, 505, other statuses             never

and never when the first try is more than `WINDOW_S` ago, nor when the upstream says
``x-should-retry: false``. docs/reliability.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import aiohttp

from ccr.protocol.errors_from_upstream import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ATTEMPTS: Final = 3
WINDOW_S: Final = 30.0
MAX_RETRY_AFTER_S: Final = 5.0
"""A longer wait is the client's: it shows the person that it waits, and can be interrupted."""
PAUSES_S: Final = ((0.2, 0.6), (0.4, 1.0))
"""Bounds of the pause before the second and the third attempt."""
REPLAY_WINDOW_S: Final = 1.0
"""A connection that was closed while idle fails within a round trip. Later, the request was read."""

KEY_STATUSES: Final = frozenset({401, 403, 429})
"""What another key of the same provider may not be answered with."""
REPEATED: Final = frozenset({408, 409, 500, 502, 503, 504, 529})

Fault = Literal["unconnected", "unanswered", "unusable"]
"""unconnected: nothing was sent. unanswered: it may have been read, or there was no time left.
unusable: no repetition helps."""


@dataclass
class Attempt:
    """One try. started_at: monotonic seconds. is_reused: it went out on a connection used before."""

    started_at: float
    is_reused: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt was none. fault: there was no answer; else status and what came with it.

    wait_s: Retry-After, in whatever form it came. is_final: the upstream says that repeating is pointless.
    """

    fault: Fault | None = None
    status: int = 0
    wait_s: float | None = None
    is_final: bool = False

    @property
    def is_outage(self) -> bool:
        """Whether the upstream itself is in trouble, whatever the request was."""
        return self.fault in {"unconnected", "unanswered"} or self.status >= 500


@dataclass(slots=True)
class Effort:
    """How often one request of a client may be sent again, over all its routes, and how often it was sent.

    retries_left: for the route that is tried now. failures: in the order they came, for the record.
    first_event_s: how long a stream's first event is waited for before the client is told that it begins.
    """

    retries_left: int = MAX_ATTEMPTS - 1
    retries: int = 0
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    first_event_s: float = 1.0


class Budget:
    """How many retries a provider gets in all: a share of its requests, and a few for quiet times.

    A provider in trouble is not helped by three times its load. Virtual time: ``now`` in monotonic seconds.
    """

    def __init__(self, *, share: float = 0.1, per_s: float = 1.0, most: float = 10.0) -> None:
        self._share = share
        self._per_s = per_s
        self._most = most
        self._tokens = most
        self._at = 0.0

    def request(self) -> None:
        """Count a request."""
        self._tokens = min(self._most, self._tokens + self._share)

    def take(self, now: float) -> bool:
        """Take one retry; False when there is none left."""
        self._tokens = min(self._most, self._tokens + self._per_s * max(0.0, now - self._at))
        self._at = max(self._at, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def pause_before_retry(failure: Failure, *, number: int, random: float, has_other_key: bool) -> float | None:
    """Return the seconds to wait before sending again, None when it must not be.

    number: how many retries there were. random: from 0 to 1. has_other_key: a key that is not cooling down.
    """
    if failure.fault == "unconnected":
        return _pause(number, random)
    if failure.fault is not None or failure.is_final:
        return None
    if has_other_key and failure.status in KEY_STATUSES:
        return 0.0
    if failure.status not in REPEATED and failure.status != 429:
        return None
    if failure.wait_s is not None:
        return max(failure.wait_s, _pause(number, random)) if failure.wait_s <= MAX_RETRY_AFTER_S else None
    return None if failure.status == 429 else _pause(number, random)


def wait_from_headers(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return how long the upstream asks to wait: ``retry-after-ms``, ``retry-after`` in seconds or as a date.

    now: Unix time in seconds. None when it asks nothing, or nothing sane.
    """
    text = next((value for name, value in headers.items() if name.lower() == "retry-after-ms"), "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 12:
        return int(text) / 1000
    return retry_after_s(headers, now=now)


def is_final(headers: Mapping[str, str]) -> bool:
    """Tell whether the upstream says that the request must not be repeated."""
    return any(
        value.strip().lower() == "false"
        for name, value in headers.items()
        if name.lower() == "x-should-retry"
    )


def is_replayable(error: Exception, attempt: Attempt, *, now: float) -> bool:
    """Tell whether the failure was a pooled connection that had died, before any byte of an answer."""
    is_dead = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(
        error, aiohttp.ClientConnectorError
    )
    return is_dead and attempt.is_reused and now - attempt.started_at <= REPLAY_WINDOW_S


def _pause(number: int, random: float) -> float:
    low, high = PAUSES_S[min(number, len(PAUSES_S) - 1)]
    return low + (high - low) * random
