"""Reading from a Databricks workspace's REST API: one GET, one JSON object or one error with its remedy.

Only set-up uses it; model requests go through client.py. The token goes to the given host alone: redirects
are not followed, nothing is read from the environment. Knows neither what is asked for nor where the token is
from.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import msgspec

from ccr import __version__
from ccr.config.masking import Mask
from ccr.errors import UpstreamError
from ccr.protocol.error_bodies import error_body
from ccr.protocol.redaction import redacted
from ccr.upstream.auth.refusals import is_token_refusal
from ccr.upstream.failures import unreachable
from ccr.upstream.urls import host_of
from ccr.upstream.ways import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ccr.config.model import Secret

DEADLINE_S: Final = 10.0
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True)
class ApiAnswer:
    """A JSON object that the workspace sent. clock_s: its ``Date`` header, in seconds since 1970."""

    values: Mapping[str, Any]
    clock_s: float | None


class WorkspaceApi:
    """The REST API of one workspace, as an asynchronous context manager.

    url: from `workspace_url`. token: a bearer token for it. reach: by which proxy and with which
    certificates; by default directly. deadline_s: for one whole answer.
    """

    def __init__(
        self, url: str, token: Secret, *, reach: Reach | None = None, deadline_s: float = DEADLINE_S
    ) -> None:
        self.host = host_of(url)
        self._url = url
        self._token = token
        self._reach = reach or Reach()
        self._proxy: str | None = None
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session, self._proxy = self._reach.session(self._url, aiohttp.ClientTimeout(total=None))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> ApiAnswer:
        """Return what ``GET path`` answers.

        Raises UpstreamError: status 401 when the workspace refuses the token, 403 when it refuses this
        identity this API, 404 when it has no such API, 502 or 504 when no JSON came (unreachable, TLS, a
        login page, too slow).
        """
        if self._session is None:
            raise RuntimeError("the API is used outside of its context")
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                response = await self._session.get(
                    self._url + path,
                    params=query,
                    proxy=self._proxy,
                    allow_redirects=False,
                    headers={
                        "Accept": "application/json",
                        "Accept-Encoding": "identity",
                        "Authorization": f"Bearer {self._token.reveal()}",
                        "User-Agent": f"ccr/{__version__}",
                    },
                )
                async with response:
                    body = await self._body(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                raise UpstreamError(
                    504, f"{self.host} did not answer within {self._deadline_s:.0f} s"
                ) from error
            raise unreachable(error, provider="The workspace", host=self.host) from error
        return ApiAnswer(self._values(response.status, body, path), clock_of(response.headers))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for data in response.content.iter_any():
            body += data
            if len(body) > MAX_BODY_BYTES:
                raise UpstreamError(502, f"{self.host} answered with more than {MAX_BODY_BYTES} bytes")
        return bytes(body)

    def _values(self, status: int, body: bytes, path: str) -> Mapping[str, Any]:
        said = error_body(body)
        if 300 <= status < 400 or (said.is_page and status < 500):
            raise UpstreamError(502, login_page(self.host, status))
        if status == 200:
            try:
                return msgspec.json.decode(body, type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                raise UpstreamError(
                    502, f"{self.host} answered {path} with something that is no JSON object"
                ) from error
        words = redacted(Mask([self._token]).by_value(said.message))
        message = words[:SHOWN_CHARACTERS] or "no message"
        if is_token_refusal(status, body):
            raise UpstreamError(401, f"{self.host} refused this identity ({status}: {message})")
        if status == 403:
            raise UpstreamError(403, f"{self.host} refused this identity {path} ({status}: {message})")
        if status == 404:
            raise UpstreamError(404, f"{self.host} has no API {path} ({message})")
        raise UpstreamError(status, f"{self.host} answered {path} with {status}: {message}")


def login_page(host: str, status: int) -> str:
    """Return the sentence about a page in place of JSON (source: databricks/unity-gateway#735)."""
    return (
        f"{host} answered with a web page ({status}), its login most likely, instead of JSON: this is not "
        "the workspace's own URL. Use the one in the browser's address bar while the workspace is open; "
        "custom account URLs and private links do not serve the API."
    )


def clock_of(headers: Mapping[str, str]) -> float | None:
    """Return the ``Date`` header in seconds since 1970; None when there is none that can be read."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
