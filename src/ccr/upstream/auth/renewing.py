"""Credentials whose token is renewed: does what the machine of token_cache.py asks for, one at a time."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from ccr.errors import UpstreamError
from ccr.upstream.auth.expiry import expiry_text
from ccr.upstream.auth.sources import sign_in_delayed
from ccr.upstream.auth.token_cache import Refuse, TokenCache, Use, Verdict, Wait
from ccr.upstream.auth.tokens import header_from_token, moment_now, token_from_header

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.config.model import Secret
    from ccr.upstream.auth.sources import TokenSource
    from ccr.upstream.auth.tokens import Moment, Token

Result = TypeVar("Result")

MAX_WAIT_S: Final = 10.0
"""How long one request waits for a token. The renewal goes on for the next one; the client asks again."""


class RenewingCredentials:
    """One identity's token, shared by all requests. ``close`` it."""

    def __init__(
        self,
        source: TokenSource,
        *,
        clock: Callable[[], Moment] = moment_now,
        max_wait_s: float = MAX_WAIT_S,
        log: logging.Logger | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._log = log if log is not None else logging.getLogger("ccr")
        self._cache = TokenCache()
        self._renewal: asyncio.Task[Token] | None = None
        self._ended = asyncio.Event()

    async def authorization(self, forwarded: str | None = None) -> Secret:
        """Return the Authorization header, at once while the token is good. Raises UpstreamError."""
        del forwarded
        step = self._step()
        if isinstance(step, Wait):
            step = await self._in_time(self._until_usable())
        if isinstance(step, Refuse):
            raise _error_of(step)
        return header_from_token(step.token.secret)

    async def rejected(self, used: Secret) -> bool:
        """Return whether to send the request again with another token. Raises UpstreamError if none came."""
        return await self._in_time(self._until_replaced(token_from_header(used)))

    def describe(self) -> dict[str, str]:
        """Return the identity, when its token ends, and what kept it from getting a newer one."""
        failure = self._cache.failure
        return self._described() | ({} if failure is None else {"problem": failure.message})

    def _described(self) -> dict[str, str]:
        token = self._cache.token
        return {
            **self._source.describe(),
            "expires_at": expiry_text(token.expires_at) if token is not None else "no token yet",
        }

    async def close(self) -> None:
        """Give up a renewal that is under way."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await self._ended.wait()

    # -- the machine's wishes --------------------------------------------------------------------------------

    def _step(self) -> Use | Wait | Refuse:
        step = self._cache.decide(self._clock())
        if not isinstance(step, Refuse) and step.renew:
            self._begin()
        return step

    async def _until_usable(self) -> Use | Refuse:
        while True:
            await self._ended.wait()
            step = self._step()
            if not isinstance(step, Wait):
                return step

    async def _until_replaced(self, secret: Secret) -> bool:
        while True:
            step = self._cache.rejected(secret, self._clock())
            if isinstance(step, Refuse):
                raise _error_of(step)
            if isinstance(step, Verdict):
                return step is Verdict.RETRY
            if step.renew:
                self._begin()
            await self._ended.wait()

    def _begin(self) -> None:
        held = self._cache.token
        self._ended = asyncio.Event()
        self._renewal = asyncio.create_task(self._source.fetch(held.secret if held is not None else None))
        self._renewal.add_done_callback(partial(self._end, self._ended))

    def _end(self, ended: asyncio.Event, renewal: asyncio.Task[Token]) -> None:
        """Report the renewal to the machine, then wake those who wait. Also runs when it was never begun."""
        if renewal.cancelled():
            self._cache.failed(sign_in_delayed("Databricks sign-in was given up"), self._clock())
        elif (error := renewal.exception()) is None:
            self._cache.renewed(renewal.result(), self._clock())
            self._note(logging.INFO, "new token", {})
        elif isinstance(error, UpstreamError):
            self._cache.failed(error, self._clock())
            self._note(logging.WARNING, "no new token", {"error": error.message})
        else:
            self._cache.failed(
                sign_in_delayed(f"Databricks sign-in failed ({type(error).__name__})"), self._clock()
            )
            self._log.error("no new token", exc_info=error, extra={"fields": self.describe()})
        ended.set()

    def _note(self, level: int, message: str, fields: dict[str, str]) -> None:
        self._log.log(level, message, extra={"fields": {**self._described(), **fields}})

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        """Return what ``work`` returns. Raises UpstreamError (503) when a request has waited enough."""
        try:
            async with asyncio.timeout(self._max_wait_s):
                return await work
        except TimeoutError as error:
            host = self._source.describe().get("host") or "the workspace"
            raise sign_in_delayed(
                f"Databricks sign-in: no token from {host} within {self._max_wait_s:.0f} s",
                retry_after_s=1,
            ) from error


def _error_of(step: Refuse) -> UpstreamError:
    """Return the failure as an error of its own: one instance raised for many would mix their tracebacks."""
    error = step.error
    wait_s = error.retry_after_s
    if error.should_retry is not False:
        wait_s = max(math.ceil(step.retry_in_s), wait_s or 0)
    return UpstreamError(
        error.status,
        error.message,
        error_type=error.error_type,
        retry_after_s=wait_s,
        should_retry=error.should_retry,
    )
