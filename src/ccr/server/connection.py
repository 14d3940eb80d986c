"""aiohttp's server with what it lacks: deadlines, a limit of connections, errors in our shape.

A connection has to begin its first request in time, and a client has to read what it is sent. What is
malformed in the middle of a body is known as soon as it arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from ccr.errors import ApiError, RequestError
from ccr.server.capacity import connection_limit, full_answer
from ccr.server.dialects import error_body
from ccr.server.front import headers_of, new_request_id
from ccr.server.throttle import Throttle

if TYPE_CHECKING:
    import asyncio
    import logging
    from collections.abc import Awaitable, Callable

KEEP_ALIVE_S: Final = 75.0
FIRST_REQUEST_S: Final = 10.0
"""A connection that has not sent the head of a request by then is closed (slow or silent on purpose)."""
LINGER_S: Final = 2.0
"""How long the rest of a refused body is read, so that the client gets to read the refusal."""
READ_BYTES: Final = 256 * 1024
STALLED_S: Final = 300.0
"""A client that has stopped reading for so long is left, and with it the provider's answer."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ("_stalled",)

    def __init__(self, manager: web.Server, **settings: Any) -> None:
        self._stalled: asyncio.TimerHandle | None = None
        super().__init__(manager, **settings)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whoever waits for a body learns at once that it is malformed (aiohttp does not say)."""
        super().data_received(data)
        if self._current_request is None or not self._messages:
            return
        content = self._current_request.content
        if isinstance(self._messages[-1][0], _ErrInfo) and not content.is_eof():
            content.set_exception(web.RequestPayloadError("malformed"))
            content.feed_eof()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._stalled = self._loop.call_later(STALLED_S, self._leave_stalled)

    def resume_writing(self) -> None:
        """Note that it reads again."""
        super().resume_writing()
        self._forget_stalled()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._forget_stalled()
        super().connection_lost(exc)

    def _leave_stalled(self) -> None:
        self.logger.info("a client reads nothing any more", extra={"fields": {"seconds": STALLED_S}})
        if self.transport is not None:
            self.transport.abort()  # closing would wait until the client has read the rest

    def _forget_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def close(self) -> None:
        """Take no further request, and end at once when none is running (aiohttp would leave it open)."""
        super().close()
        if not self._request_in_progress and not self._messages:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to bytes that are no request, or to a fault in writing one; it is the last."""
        del message  # the parser's words quote what was sent
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        request_id = new_request_id()
        if status >= 500:  # never seen: the handler catches all errors itself
            fields = {"request_id": request_id}
            self.logger.error("an answer could not be written", exc_info=exc, extra={"fields": fields})
            error = ApiError(status, "ccr could not write its answer; its log says why")
        else:
            fields = {"request_id": request_id, "kind": type(exc).__name__}
            self.logger.info("bytes that are no HTTP request", extra={"fields": fields})
            too_long = isinstance(exc, LineTooLong)
            what = "its first line or a header is longer than 8 KB" if too_long else "it cannot be read"
            error = RequestError(f"this is not a valid HTTP request: {what}", status=status)
        response = web.Response(
            status=status,
            body=error_body(error, "anthropic", request_id),
            headers=headers_of({"content-type": "application/json"}, request_id),
        )
        response.force_close()
        return response


class Server(web.Server):
    """Makes a Connection for every client. handler: answers a request, raises only when the client left."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, log: logging.Logger
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self._log = log
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._limit = connection_limit()
        self.throttle = Throttle(log, self._loop.time)

    def __call__(self) -> web.RequestHandler:
        """Return the protocol for a new connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=KEEP_ALIVE_S,
            logger=self._log,
            access_log=None,
            lingering_time=LINGER_S,
            read_bufsize=READ_BYTES,
            auto_decompress=False,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Start the deadline of a new connection."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._limit:
            request_id = new_request_id()
            fields: dict[str, object] = {"request_id": request_id, "limit": self._limit}
            self.throttle.warn("a connection too many was refused", fields)
            transport.write(full_answer(request_id))
            handler.force_close()
            return
        self._silent[handler] = self._loop.call_later(FIRST_REQUEST_S, handler.force_close)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._heard(handler)

    def _heard(self, handler: web.RequestHandler) -> None:
        timer = self._silent.pop(handler, None)
        if timer is not None:
            timer.cancel()

    def _request(
        self, message: Any, payload: Any, protocol: web.RequestHandler, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        self._heard(protocol)
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop)
