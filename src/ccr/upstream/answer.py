"""An upstream's answer while it arrives: status and headers, then its bytes as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from ccr.errors import UpstreamError
from ccr.upstream.failures import broken
from ccr.upstream.inflate import Inflater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Secret
    from ccr.upstream.deadlines import Deadlines
    from ccr.upstream.exchange import Exchange

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
LAST_BYTES_S: Final = 1.0
"""How long the end of an answer may lag behind its last event before the connection is given up."""


class Answer:
    """One answer. Read it with ``next`` or ``read``, then ``close`` it, whatever happened.

    key: what the request was sent with, to be taken out of texts that repeat it.
    The connection goes back to the pool by itself when the end of the answer was read, and only then.
    """

    def __init__(
        self, response: aiohttp.ClientResponse | Exchange, deadlines: Deadlines, *, provider: str, host: str
    ) -> None:
        self.key: Secret | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._deadlines = deadlines
        self._content = response.content
        self._provider = provider
        self._host = host
        self._kept = b""
        self._is_refused = False
        self.waited_s = 0.0
        """How long its first event was waited for in vain; 0.0 when it has come."""
        self.is_empty = False
        """It ended or broke off before its first event."""
        self._on_close: Callable[[], None] | None = None
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        self._inflater = Inflater(encoding, provider=provider) if encoding not in {"identity", ""} else None

    @property
    def content_type(self) -> str:
        """The media type, lower case, without parameters; "" when none was given."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def next(self, timeout_s: float) -> bytes:
        """Return what has arrived, b"" at the end; wait for it at most ``timeout_s``.

        Raises TimeoutError when nothing arrived (the answer is still whole: call again or close it),
        UpstreamError when it cannot go on.
        """
        if self._kept:
            kept, self._kept = self._kept, b""
            return kept
        if self._is_refused:
            return b""
        while True:
            data = await self._next(timeout_s)
            if not data or self._inflater is None:
                return data
            inflated = self._inflater.feed(data)
            if inflated:
                return inflated

    async def _next(self, timeout_s: float) -> bytes:
        content = self._content
        try:
            data: bytes = content.read_nowait()
            if data or content.at_eof():
                return data
            return await self._deadlines.within(timeout_s, content.readany())
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise broken(error, provider=self._provider, host=self._host) from error

    async def read(self, *, max_bytes: int = MAX_BODY_BYTES, timeout_s: float) -> bytes:
        """Return the whole body. ``timeout_s``: between two reads.

        Raises UpstreamError on a body that is larger, cut off, or does not go on in time.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while data := await self.next(timeout_s):
                size += len(data)
                if size > max_bytes:
                    raise UpstreamError(502, f"{self._provider} answered with more than {max_bytes} bytes")
                pieces.append(data)
        except TimeoutError as error:
            raise UpstreamError(
                504,
                f"{self._provider}: {self._host} stopped in the middle of its answer for {timeout_s:.0f} s",
            ) from error
        return b"".join(pieces)

    async def read_start(self, *, max_bytes: int, timeout_s: float) -> bytes:
        """Return at most ``max_bytes`` of the body, less when it breaks off: enough to see what it says."""
        return (await self._start(max_bytes, timeout_s))[:max_bytes]

    async def peek(self, *, max_bytes: int, timeout_s: float) -> bytes:
        """Return what ``read_start`` does, and keep it: whoever reads next begins at the start."""
        self._kept = await self._start(max_bytes, timeout_s)
        return self._kept[:max_bytes]

    async def _start(self, enough_bytes: int, timeout_s: float) -> bytes:
        body = b""
        try:
            while len(body) < enough_bytes and (data := await self.next(timeout_s)):
                body += data
        except (TimeoutError, UpstreamError):
            pass  # an error's text is worth showing even when its end is missing
        return body

    async def wait(self, is_enough: Callable[[bytes], bool], *, timeout_s: float) -> None:
        """Wait for what one wants to see, and keep it: whoever reads next begins at the start.

        is_enough: told each read. Also returns at the end, when the answer breaks off (the next read tells
        that), and after ``timeout_s``, noting how long that was.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        kept: list[bytes] = []
        try:
            while data := await self.next(max(0.0, began_at + timeout_s - loop.time())):
                kept.append(data)
                if is_enough(data):
                    break
            else:
                self.is_empty = True
        except TimeoutError:
            self.waited_s = timeout_s
        except UpstreamError:
            self.is_empty = True
        self._kept = b"".join(kept)

    def refuse(self, status: int, body: bytes) -> None:
        """Make it a refusal: its bytes turned out to say so. The connection is closed."""
        self.status = status
        self._kept = body
        self._is_refused = True
        self._response.close()

    @property
    def is_at_end(self) -> bool:
        """Whether all of it was read, so that nothing is lost by closing it."""
        return not self._kept and self._content.at_eof()

    async def finish(self) -> None:
        """Read the little that follows a complete answer, so that its connection can be reused."""
        try:
            async with asyncio.timeout(LAST_BYTES_S):
                while await self._content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.close()  # then it is not reused

    def on_close(self, call: Callable[[], None]) -> None:
        """Have something called when the answer is closed, once."""
        self._on_close = call

    def close(self) -> None:
        """Close the connection, unless the answer was read to its end. May be called again."""
        self._response.close()
        call, self._on_close = self._on_close, None
        if call is not None:
            call()
