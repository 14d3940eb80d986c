"""The network on the way out: one request to a provider, one Answer or one UpstreamError.

What differs from aiohttp's defaults, and why: redirects are not followed (they would carry the key to
another host); nothing is read from the environment; no cookies; no total timeout (it would cut long
streams) but one for the connection and one for the first byte; no compression is asked for. Headers are
built here from an allow-list: nothing of the client's own headers goes upstream, and a provider's key goes
only to that provider's URL.

A provider with a key of its own sends it; for the others there are credentials, whose token is fetched and
renewed (auth/). When the answer refuses the token and another one can be had, the request goes out once more.

Knows neither the wire formats nor the client. Retries beyond these, and beyond the one of a dead pooled
connection, belong elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final

import aiohttp

from ccr.errors import ApiError
from ccr.upstream.answer import Answer
from ccr.upstream.auth.refusals import MAX_BODY_BYTES as MAX_REFUSAL_BYTES
from ccr.upstream.auth.refusals import is_token_refusal
from ccr.upstream.auth.tokens import token_from_header
from ccr.upstream.deadlines import Deadlines
from ccr.upstream.exchange import Exchange, Target, post
from ccr.upstream.failures import silent, unreachable
from ccr.upstream.headers import request_headers, signs_itself
from ccr.upstream.retry import Attempt, is_replayable
from ccr.upstream.urls import host_of, is_local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from ccr.config.model import Config, Provider, Secret
    from ccr.upstream.auth.credentials import Credentials

CONNECT_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 15.0
"""Less than what servers and load balancers use, so that they seldom close a connection first."""
DNS_TTL_S: Final = 60
READ_BYTES: Final = 64 * 1024
"""Reading pauses when twice this waits for a slow client."""
MAX_TARGETS: Final = 256
MAY_REFUSE_TOKEN: Final = frozenset({400, 401, 403})
REFUSAL_READ_S: Final = 10.0


_attempt: ContextVar[Attempt] = ContextVar("attempt")
"""The attempt that the running task makes."""


class Upstream:
    """The connections to all providers. Needs a running loop; ``close`` it.

    credentials: provider's name -> its identity at work, for those that have no key of their own.
    """

    def __init__(self, config: Config, credentials: Mapping[str, Credentials] | None = None) -> None:
        self._credentials = dict(credentials or {})
        self._first_byte_s = config.api_timeout_s
        self._proxy_url = config.proxy_url.reveal() if config.proxy_url is not None else None
        self._deadlines = Deadlines()
        self._pooled = _session(force_close=False)
        self._fresh = _session(force_close=True)
        self._targets: dict[tuple[str, bool], Target] = {}
        self._finishing: set[asyncio.Task[None]] = set()

    async def open(
        self,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str | None] | None = None,
        *,
        stream: bool,
        user_token: Secret | None = None,
    ) -> Answer:
        """Post ``body`` and return the answer as soon as its headers are there, whatever its status.

        headers: what the route asks for beyond the ones every request has (headers.py). user_token: of
        the user who asks, where a provider answers as that user. Raises UpstreamError when no answer or no
        token came, RequestError when there is no user token and there should be.
        """
        send = partial(self._send, provider, url, body, headers, stream=stream)
        if signs_itself(headers):
            return await send(None)
        credentials = None if provider.api_key is not None else self._credentials.get(provider.name)
        if credentials is None:
            return await send(provider.api_key)
        forwarded = user_token.reveal() if user_token is not None else None
        header = await credentials.authorization(forwarded)
        answer = await send(token_from_header(header))
        if not await _refuses_token(answer) or not await _is_renewed(credentials, header, answer):
            return answer
        answer.close()
        return await send(token_from_header(await credentials.authorization(forwarded)))

    async def _send(
        self,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str | None] | None,
        key: Secret | None,
        *,
        stream: bool,
    ) -> Answer:
        """Post once, and once more when a pooled connection turns out to be dead."""
        sent = request_headers(headers or {}, key, stream=stream, key_header=provider.key_header)
        attempt = Attempt(time.monotonic())
        try:
            answer = await self._post(self._pooled, provider, url, body, sent, attempt)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not is_replayable(error, attempt, now=time.monotonic()):
                raise unreachable(error, provider=provider.name, host=host_of(url)) from error
            try:
                answer = await self._post(self._fresh, provider, url, body, sent, attempt)
            except (aiohttp.ClientError, OSError, ValueError) as again:
                raise unreachable(again, provider=provider.name, host=host_of(url)) from again
        answer.key = key
        return answer

    async def _post(
        self,
        session: aiohttp.ClientSession,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        attempt: Attempt,
    ) -> Answer:
        proxy = None if self._proxy_url is None or is_local(url) else self._proxy_url
        _attempt.set(attempt)
        sending: Awaitable[aiohttp.ClientResponse | Exchange] = (
            post(self._target(url, session), headers, body, read_bytes=READ_BYTES)
            if proxy is None
            else session.post(url, data=_Body(body), headers=headers, proxy=proxy, allow_redirects=False)
        )
        try:
            response = await self._deadlines.within(self._first_byte_s, sending)
        except aiohttp.ConnectionTimeoutError:
            raise
        except TimeoutError as error:
            raise silent(self._first_byte_s, provider=provider.name, host=host_of(url)) from error
        try:
            return Answer(response, self._deadlines, provider=provider.name, host=host_of(url))
        except BaseException:
            response.close()
            raise

    def _target(self, url: str, session: aiohttp.ClientSession) -> Target:
        key = (url, session is self._pooled)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) == MAX_TARGETS:
                self._targets.clear()  # a transformer may give every request a URL of its own
            target = self._targets[key] = Target(url, session)
        return target

    def release(self, answer: Answer) -> None:
        """Give the answer's connection back to the pool if its end arrives soon, without waiting for that."""
        if answer.is_at_end:
            answer.close()
            return
        task = asyncio.create_task(answer.finish())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        task.add_done_callback(lambda _: answer.close())  # a task cancelled early never reaches its own end

    async def sign_in(self) -> None:
        """Fetch the tokens before a request needs them.

        What fails is logged where it failed, tried again by the next request, and told to its client.
        """
        for credentials in self._credentials.values():
            with contextlib.suppress(ApiError):
                await credentials.authorization()

    def identities(self) -> dict[str, dict[str, str]]:
        """Return provider's name -> its identity, described for a person: no secrets."""
        return {name: credentials.describe() for name, credentials in self._credentials.items()}

    async def close(self) -> None:
        """Close all connections, and give up renewals of tokens."""
        for credentials in self._credentials.values():
            await credentials.close()
        for task in self._finishing:
            task.cancel()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        self._deadlines.close()
        await self._pooled.close()
        await self._fresh.close()


class _Body(aiohttp.BytesPayload):
    """The body of a request. aiohttp warns of bytes over 1 MiB: it wants a file, which is no better here."""

    def __init__(self, body: bytes) -> None:
        aiohttp.Payload.__init__(self, body, content_type="application/json")
        self._size = len(body)


def _session(*, force_close: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=DNS_TTL_S,
        force_close=force_close,
        keepalive_timeout=None if force_close else KEEP_ALIVE_S,
        socket_factory=_new_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BYTES,
    )


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket of a new connection, and note that the request which needs it goes out on a new one."""
    attempt = _attempt.get(None)
    if attempt is not None:
        attempt.is_reused = False
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


async def _refuses_token(answer: Answer) -> bool:
    """Tell whether the answer says that the token is no good; it stays whole. Closes it when cancelled."""
    if answer.status not in MAY_REFUSE_TOKEN:
        return False
    try:
        said = await answer.peek(max_bytes=MAX_REFUSAL_BYTES, timeout_s=REFUSAL_READ_S)
    except BaseException:
        answer.close()
        raise
    return is_token_refusal(answer.status, said)


async def _is_renewed(credentials: Credentials, header: Secret, answer: Answer) -> bool:
    """Tell whether there is another token by now. Closes the answer when that fails: its error says more."""
    try:
        return await credentials.rejected(header)
    except BaseException:
        answer.close()
        raise
