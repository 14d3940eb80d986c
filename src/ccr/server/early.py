"""An answer that begins before there is one, when the client is about to give up waiting for its head.

A client waits for the head of an answer for a limited time and says for how long (``X-Stainless-Timeout``,
seconds; Claude Code's is ``API_TIMEOUT_MS``). Then it drops the request and sends the next, although the
provider may have been about to answer. So shortly before, a stream is begun with nothing but signs of life
in it; from then on an error can only be the stream's last event, no status. Before that nothing is begun: a
proper status is worth more to the client than an early head, and the person sees no difference.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from ccr.server.dialects import Dialect

TIMEOUT_HEADER: Final = "X-Stainless-Timeout"
DEFAULT_TIMEOUT_S: Final = 600.0
"""How long clients wait that do not say so: the default of both published clients."""
SHARE: Final = 0.8
MAX_TIMEOUT_S: Final = 86_400.0
EVERY_S: Final = 15.0
SIGNS: Final[Mapping[str, bytes]] = {
    "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
    "openai": b": keep-alive\n\n",
    "responses": b": keep-alive\n\n",
}


class _Asked(msgspec.Struct):
    stream: bool | None = None


_ASKED: Final = msgspec.json.Decoder(_Asked)


class Early:
    """The early beginning of one answer. begin: makes the response, not yet prepared."""

    def __init__(self, request: web.BaseRequest, begin: Callable[[], web.StreamResponse]) -> None:
        self._request = request
        self._begin = begin
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._response: web.StreamResponse | None = None

    def watch(self, body: bytes, dialect: Dialect, *, every_s: float = EVERY_S) -> None:
        """Begin when the time comes, if the body asks for a stream; until then it costs one timer."""
        after_s = SHARE * timeout_of(self._request.headers.get(TIMEOUT_HEADER))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(after_s, self._start, body, SIGNS[dialect], every_s)

    @property
    def is_watching(self) -> bool:
        """Whether there is a body that may ask for a stream."""
        return self._timer is not None

    async def end(self) -> web.StreamResponse | None:
        """Stop; return the response to go on with when it has begun, None when nothing was sent."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])
        return self._response if self._response is not None and self._response.prepared else None

    def stop(self) -> None:
        """Send no further sign of life."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _start(self, body: bytes, sign: bytes, every_s: float) -> None:
        if wants_stream(body):
            self._task = asyncio.create_task(self._live(sign, every_s))

    async def _live(self, sign: bytes, every_s: float) -> None:
        self._response = self._begin()
        try:
            await self._response.prepare(self._request)
            while True:
                await self._response.write(sign)
                await asyncio.sleep(every_s)
        except ConnectionError:
            return  # the client left: its request is cancelled


def timeout_of(header: str | None) -> float:
    """Return for how many seconds a client waits for the head of an answer."""
    try:
        seconds = float(header or "")
    except ValueError:
        return DEFAULT_TIMEOUT_S
    return seconds if 0 < seconds <= MAX_TIMEOUT_S else DEFAULT_TIMEOUT_S


def wants_stream(body: bytes) -> bool:
    """Tell whether a body asks for a stream."""
    try:
        return bool(_ASKED.decode(body).stream)
    except msgspec.DecodeError:
        return False
