"""The network on the way out: one request to a provider, one Answer or one UpstreamError.

What differs from aiohttp's defaults, and why: redirects are not followed (they would carry the key to
another host); nothing is read from the environment; no cookies; no total timeout (it would cut long
streams) but one for the connection and one for the first byte; no compression is asked for. Headers are
built here from an allow-list: nothing of the client's own headers goes upstream, and a provider's key goes
only to that provider's URL.

A provider with a key of its own sends it; for the others there are credentials, whose token is fetched and
renewed (auth/). When the answer refuses the token and another one can be had, the request goes out once more.

What fails is sent again as trying.py says, within what limits.py admits; ways.py knows how each provider is
reached. Knows neither the wire formats nor the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from ccr.errors import ApiError
from ccr.upstream.answer import Answer
from ccr.upstream.auth.refusals import MAX_BODY_BYTES as MAX_REFUSAL_BYTES
from ccr.upstream.auth.refusals import is_token_refusal
from ccr.upstream.auth.tokens import token_from_header
from ccr.upstream.beginning import begun
from ccr.upstream.deadlines import Deadlines
from ccr.upstream.exchange import Exchange, post
from ccr.upstream.failures import silent, unreachable
from ccr.upstream.headers import request_headers, signs_itself
from ccr.upstream.retry import Attempt, Effort, is_replayable
from ccr.upstream.sent import SentSecrets
from ccr.upstream.standing import Standing
from ccr.upstream.trying import Pace, answered
from ccr.upstream.urls import host_of
from ccr.upstream.ways import READ_BYTES, Ways, current_attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from ccr.config.model import Config, Provider, Secret
    from ccr.upstream.auth.credentials import Credentials
    from ccr.upstream.ways import Way

MAY_REFUSE_TOKEN: Final = frozenset({400, 401, 403})
REFUSAL_READ_S: Final = 10.0


class Upstream:
    """The connections to all providers. Needs a running loop; ``close`` it.

    credentials: provider's name -> its identity at work, for those that have no key of their own.
    sent: learns what goes out, so that it can be taken out of what comes back.
    Raises ConfigError when a provider cannot be reached the way it says.
    """

    def __init__(
        self,
        config: Config,
        credentials: Mapping[str, Credentials] | None = None,
        *,
        pace: Pace | None = None,
        sent: SentSecrets | None = None,
    ) -> None:
        self.sent = sent or SentSecrets()
        self._ways = Ways(config)
        self._credentials = dict(credentials or {})
        self._first_byte_s = config.api_timeout_s
        self._pace = pace or Pace()
        self._deadlines = Deadlines()
        self._standings: dict[str, Standing] = {}
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
        model: str = "",
        effort: Effort | None = None,
    ) -> Answer:
        """Post ``body`` and return the answer as soon as its headers are there, whatever its status.

        headers: what the route asks for beyond the ones every request has (headers.py). user_token: of
        the user who asks, where a provider answers as that user. model: whose failures count together.
        effort: how often this request may still be sent again. Raises UpstreamError when no answer or no
        token came, RequestError when there is no user token and there should be.
        """
        standing = self._standing(provider)
        effort = effort or Effort()
        send = partial(
            self._signed,
            provider,
            url,
            body,
            headers,
            stream=stream,
            user_token=user_token,
            first_event_s=effort.first_event_s,
        )
        await standing.places.take()
        try:
            answer = await answered(send, standing, model, effort, self._pace)
        except BaseException:
            standing.places.leave()
            raise
        answer.on_close(standing.places.leave)
        return answer

    async def _signed(
        self,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str | None] | None,
        key: Secret | None,
        *,
        stream: bool,
        user_token: Secret | None,
        first_event_s: float,
    ) -> Answer:
        """Post with a key, or with credentials; with these once more when a token is refused."""
        send = partial(self._send, provider, url, body, headers, stream=stream, first_event_s=first_event_s)
        if signs_itself(headers):
            return await send(None)
        credentials = None if provider.api_key is not None else self._credentials.get(provider.name)
        if credentials is None:
            return await send(key)
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
        first_event_s: float,
    ) -> Answer:
        """Post once, and once more when a pooled connection turns out to be dead.

        Returns when the answer has begun: the first event of a stream may be an error (beginning.py).
        """
        if key is not None:
            self.sent.note(key)
        sent = request_headers(headers or {}, key, stream=stream, key_header=provider.key_header)
        way = self._ways.to(provider, url)
        attempt = Attempt(time.monotonic())
        try:
            answer = await self._post(way, way.pooled, provider, url, body, sent, attempt)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not is_replayable(error, attempt, now=time.monotonic()):
                way.forget_addresses(url)
                raise unreachable(error, provider=provider.name, host=host_of(url)) from error
            try:
                answer = await self._post(way, way.fresh, provider, url, body, sent, attempt)
            except (aiohttp.ClientError, OSError, ValueError) as again:
                raise unreachable(again, provider=provider.name, host=host_of(url)) from again
        answer.key = key
        try:
            await begun(answer, min(first_event_s, self._first_byte_of(provider)))
        except BaseException:
            answer.close()
            raise
        return answer

    async def _post(
        self,
        way: Way,
        session: aiohttp.ClientSession,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        attempt: Attempt,
    ) -> Answer:
        current_attempt.set(attempt)
        sending: Awaitable[aiohttp.ClientResponse | Exchange] = (
            post(way.target(url, session), headers, body, read_bytes=READ_BYTES)
            if way.proxy is None
            else session.post(url, data=_Body(body), headers=headers, proxy=way.proxy, allow_redirects=False)
        )
        first_byte_s = self._first_byte_of(provider)
        try:
            response = await self._deadlines.within(first_byte_s, sending)
        except aiohttp.ConnectionTimeoutError:
            raise
        except TimeoutError as error:
            is_own = provider.network.timeouts.first_byte_s is not None
            raise silent(first_byte_s, provider=provider.name, host=host_of(url), is_own=is_own) from error
        try:
            return Answer(response, self._deadlines, provider=provider.name, host=host_of(url))
        except BaseException:
            response.close()
            raise

    def _first_byte_of(self, provider: Provider) -> float:
        return provider.network.timeouts.first_byte_s or self._first_byte_s

    def _standing(self, provider: Provider) -> Standing:
        standing = self._standings.get(provider.name)
        if standing is None:
            standing = self._standings[provider.name] = Standing(provider)
        return standing

    def load(self, provider: Provider) -> float:
        """Return how much a provider has to do, for a comparison with another."""
        return self._standing(provider).places.load

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return provider's name -> how it stands, for a person."""
        now = self._pace.clock()
        return {name: standing.snapshot(now) for name, standing in self._standings.items()}

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

    async def token_of(self, provider: Provider, user_token: Secret | None = None) -> Secret | None:
        """Return the token a request would go out with now; None where the provider has a key, or nothing.

        For transformers that sign requests themselves. Raises as `open` does.
        """
        credentials = None if provider.api_key is not None else self._credentials.get(provider.name)
        if credentials is None:
            return None
        forwarded = user_token.reveal() if user_token is not None else None
        return token_from_header(await credentials.authorization(forwarded))

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
        await self._ways.close()


class _Body(aiohttp.BytesPayload):
    """The body of a request. aiohttp warns of bytes over 1 MiB: it wants a file, which is no better here."""

    def __init__(self, body: bytes) -> None:
        aiohttp.Payload.__init__(self, body, content_type="application/json")
        self._size = len(body)


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
