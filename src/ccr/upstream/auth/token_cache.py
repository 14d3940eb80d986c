"""The life of one token, as a state machine: no network, no clock, no task.

    (none) ──decide──> Wait: a renewal begins
    fresh  ──decide──> Use
    due    ──decide──> Use, and a renewal begins beside it
    over   ──decide──> Wait for the renewal; Refuse while a failed one is paused

Whoever gets ``renew=True`` must renew once and report ``renewed`` or ``failed``; until then nobody gets it.

- Due: a fifth of the token's life is left, and at least 5 minutes of it unless the life is short.
- Over: 30 seconds before the end (workspaces refuse a token that is about to end), a tenth of a short life.
- Both clocks count: the one that says a token is older is believed. What the wall clock alone says causes at
  most one renewal a minute, so a clock that jumps causes no storm.
- A failed renewal pauses: 1 s, doubling to 60 s. A token that is still good is used meanwhile.
- A refused token is renewed at once, but one that is refused while it should be good only every 15 s: then
  the workspace refuses the identity, not the token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccr.config.model import Secret
    from ccr.errors import UpstreamError
    from ccr.upstream.auth.tokens import Moment, Token

RENEW_AT_REST: Final = 0.2
MIN_REST_S: Final = 300.0
SHORT_LIFE_S: Final = 600.0
MARGIN_S: Final = 30.0
MARGIN_OF_SHORT_LIFE: Final = 0.1
DOUBTFUL_LIFE_S: Final = 75.0
"""Life of a token that comes expired by our clock: either is wrong. Asked for again after 60 s."""
ODDITY_PAUSE_S: Final = 60.0
REJECTION_PAUSE_S: Final = 15.0
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 60.0


@dataclass(frozen=True)
class Use:
    """Send this token. renew: and begin a renewal."""

    token: Token
    renew: bool


@dataclass(frozen=True)
class Wait:
    """Wait for the renewal, then decide again. renew: and begin it."""

    renew: bool


@dataclass(frozen=True)
class Refuse:
    """No token; the last renewal failed and the next may begin in ``retry_in_s``."""

    error: UpstreamError
    retry_in_s: float


class Verdict(Enum):
    """What to do after a token was refused, when nothing has to be waited for."""

    RETRY = "there is another token already"
    FINAL = "another token would not help"


@dataclass(frozen=True)
class _Held:
    token: Token
    since: Moment
    life_s: float
    is_refused: bool = False

    @property
    def rest_s(self) -> float:
        """What is left of it when it is due."""
        if math.isinf(self.life_s):
            return 0.0
        share = self.life_s * RENEW_AT_REST
        return share if self.life_s <= SHORT_LIFE_S else max(MIN_REST_S, share)

    @property
    def margin_s(self) -> float:
        return min(MARGIN_S, self.life_s * MARGIN_OF_SHORT_LIFE) if math.isfinite(self.life_s) else 0.0


@dataclass(frozen=True)
class _Failure:
    error: UpstreamError
    pause_s: float
    until_s: float


class TokenCache:
    """Holds the present token of one identity; see the module."""

    def __init__(self) -> None:
        self._held: _Held | None = None
        self._failure: _Failure | None = None
        self._is_renewing = False
        self._odd_since_s: float | None = None
        self._odd_at_s = -math.inf
        self._forced_at_s = -math.inf
        self._is_forced = False
        self._stale: Secret | None = None

    @property
    def token(self) -> Token | None:
        """The present token, whatever its state."""
        return self._held.token if self._held is not None else None

    @property
    def failure(self) -> UpstreamError | None:
        """Why the last renewal gave no token; None when it gave one."""
        return self._failure.error if self._failure is not None else None

    def decide(self, now: Moment) -> Use | Wait | Refuse:
        """Return what a request has to do now."""
        held = self._held
        left_s, is_odd = self._left_s(held, now) if held is not None else (0.0, False)
        if held is not None and not held.is_refused and left_s > held.margin_s:
            renew = left_s <= held.rest_s and not self._is_renewing and not self._pause_s(now)
            if renew:
                self._begin(now if is_odd else None)
            return Use(held.token, renew)
        if self._is_renewing:
            return Wait(renew=False)
        pause_s = self._pause_s(now)
        if self._failure is not None and pause_s:
            if held is not None and left_s > 0:
                return Use(held.token, renew=False)
            return Refuse(self._failure.error, pause_s)
        self._begin(now if is_odd else None)
        return Wait(renew=True)

    def renewed(self, token: Token, now: Moment) -> None:
        """Report the end of the renewal: this token is the present one."""
        life_s = math.inf if token.expires_at is None else token.expires_at - now.wall_s
        held, was_forced = self._held, self._is_forced
        if held is not None and held.is_refused and held.token.secret == token.secret:
            self._stale = token.secret
            was_forced = True
        if self._odd_since_s is not None:
            self._odd_at_s = self._odd_since_s
        if was_forced:
            self._forced_at_s = now.steady_s
        self._held = _Held(token, now, life_s if life_s > 0 else DOUBTFUL_LIFE_S)
        self._failure = None
        self._end()

    def failed(self, error: UpstreamError, now: Moment) -> None:
        """Report the end of the renewal without a token.

        A token that was refused is used again: perhaps it was refused by mistake, and it is all there is.
        """
        pause_s = FIRST_PAUSE_S
        if self._failure is not None:
            pause_s = min(MAX_PAUSE_S, 2 * self._failure.pause_s)
        self._failure = _Failure(error, pause_s, now.steady_s + pause_s)
        if self._held is not None:
            self._held = replace(self._held, is_refused=False)
        self._end()

    def rejected(self, secret: Secret, now: Moment) -> Wait | Refuse | Verdict:
        """Return what to do after the workspace refused a token; after Wait, ask again."""
        held = self._held
        if held is None or held.token.secret != secret:
            return Verdict.RETRY
        if self._is_renewing:
            self._held = replace(held, is_refused=True)
            return Wait(renew=False)
        pause_s = self._pause_s(now)
        if self._failure is not None and pause_s:
            return Refuse(self._failure.error, pause_s)
        is_at_its_end = self._left_s(held, now)[0] <= held.rest_s and secret != self._stale
        if not is_at_its_end and now.steady_s - self._forced_at_s < REJECTION_PAUSE_S:
            return Verdict.FINAL
        self._held = replace(held, is_refused=True)
        self._begin(None, is_forced=not is_at_its_end)
        return Wait(renew=True)

    def _begin(self, odd: Moment | None, *, is_forced: bool = False) -> None:
        """Note the renewal. odd: when it began, if it is for the wall clock's sake alone."""
        self._is_renewing, self._is_forced = True, is_forced
        self._odd_since_s = odd.steady_s if odd is not None else None

    def _end(self) -> None:
        self._is_renewing = self._is_forced = False
        self._odd_since_s = None

    def _pause_s(self, now: Moment) -> float:
        """Return how long no renewal may begin, 0 when one may."""
        return max(0.0, self._failure.until_s - now.steady_s) if self._failure is not None else 0.0

    def _left_s(self, held: _Held, now: Moment) -> tuple[float, bool]:
        """Return what is left of the token, and whether only the wall clock says that it is due."""
        by_steady = held.life_s - (now.steady_s - held.since.steady_s)
        by_wall = held.life_s - (now.wall_s - held.since.wall_s)
        is_odd = by_wall <= held.rest_s < by_steady
        if is_odd and now.steady_s - self._odd_at_s < ODDITY_PAUSE_S:
            return by_steady, False
        return min(by_steady, by_wall), is_odd
