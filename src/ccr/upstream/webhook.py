"""Telling a web address of the person's something: sent again a few times, nothing read of the answer.

As with providers: https or this machine, the proxies and certificates that all use, no redirects, no cookies,
nothing from the environment. The URL may be a key in itself, so errors name the host alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from ccr import __version__
from ccr.errors import ConfigError, UpstreamError
from ccr.upstream.failures import unreachable
from ccr.upstream.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.config.webhook import Webhook
    from ccr.upstream.ways import Reach

CONNECT_S: Final = 10.0
_WHO: Final = "the webhook"
_PASSES: Final = frozenset({408, 429})
"""Refusals that may be none a moment later; so may every 5xx."""


class WebhookSender:
    """Sends to one address, over a connection of its own. Needs a running loop; ``close`` it."""

    def __init__(
        self, webhook: Webhook, reach: Reach, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._webhook = webhook
        self._reach = reach
        self._sleep = sleep
        self._host = host_of(webhook.url.reveal())
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None

    async def send(self, body: bytes) -> None:
        """Send ``body``, JSON. Raises UpstreamError when it was not taken, however often it was sent."""
        for attempt in range(self._webhook.attempts):
            if attempt:
                await self._sleep(self._webhook.backoff_s * 2 ** (attempt - 1))
            status, error = await self._answered(body)
            if status is not None and 200 <= status < 300:
                return
            if status is not None and status < 500 and status not in _PASSES:
                break
        if error is not None:
            raise error
        raise UpstreamError(502, f"{_WHO}: {self._host} answered {status}")

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()

    async def _answered(self, body: bytes) -> tuple[int | None, UpstreamError | None]:
        """Return the status of the answer, or why there is none."""
        url = self._webhook.url.reveal()
        headers = {"Content-Type": "application/json", "User-Agent": f"ccr/{__version__}"}
        headers |= {name: value.reveal() for name, value in self._webhook.headers}
        try:
            async with asyncio.timeout(self._webhook.timeout_s) as deadline:
                session = self._connected(url)
                async with session.request(
                    self._webhook.method,
                    url,
                    data=body,
                    headers=headers,
                    proxy=self._proxy,
                    allow_redirects=False,
                ) as response:
                    return response.status, None
        except ConfigError as error:
            return None, UpstreamError(502, f"{_WHO}: {error}", should_retry=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                said = f"{_WHO}: {self._host} did not answer within {self._webhook.timeout_s:g} s"
                return None, UpstreamError(504, said)
            return None, unreachable(error, provider=_WHO, host=self._host)

    def _connected(self, url: str) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
            self._session, self._proxy = self._reach.session(url, timeout)
        return self._session
