"""The one request that signing in needs: a form posted to a token endpoint."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import aiohttp

from ccr import __version__
from ccr.errors import UpstreamError
from ccr.upstream.failures import unreachable
from ccr.upstream.urls import host_of
from ccr.upstream.ways import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Secret

CONNECT_TIMEOUT_S: Final = 10.0
TOTAL_TIMEOUT_S: Final = 30.0
MAX_BODY_BYTES: Final = 64 * 1024
_WHO: Final = "Databricks sign-in"


class FormAnswer(NamedTuple):
    """What a token endpoint answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TokenHttp(Protocol):
    """How a form is posted."""

    async def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, Secret] | None
    ) -> FormAnswer:
        """Return the answer. basic: user and password. Raises UpstreamError when there is none."""


class AiohttpTokenHttp:
    """Posts with aiohttp: redirects not followed, nothing read from the environment, a connection of its own.

    reach: by which proxy and with which certificates; by default directly.
    """

    def __init__(
        self,
        *,
        reach: Reach | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        self._reach = reach or Reach()
        self._connect_timeout_s = connect_timeout_s
        self._total_timeout_s = total_timeout_s

    async def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, Secret] | None
    ) -> FormAnswer:
        """Return the answer; see `TokenHttp`."""
        host = host_of(url)
        session, proxy = self._reach.session(
            url, aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s)
        )
        try:
            async with asyncio.timeout(self._total_timeout_s) as deadline, session:
                response = await session.post(
                    url,
                    data=dict(form),
                    headers=_headers(basic),
                    proxy=proxy,
                    allow_redirects=False,
                )
                body = await _bounded_body(response, host)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                said = f"{_WHO}: {host} did not answer within {self._total_timeout_s:.0f} s"
                raise UpstreamError(504, said) from error
            raise unreachable(error, provider=_WHO, host=host) from error
        return FormAnswer(response.status, response.headers, body)


def _headers(basic: tuple[str, Secret] | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"ccr/{__version__}",
    }
    if basic is not None:
        user, password = basic
        pair = b64encode(f"{user}:{password.reveal()}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    return headers


async def _bounded_body(response: aiohttp.ClientResponse, host: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            said = f"{_WHO}: {host} answered with more than {MAX_BODY_BYTES} bytes"
            raise UpstreamError(502, said, should_retry=False)
    return bytes(body)
