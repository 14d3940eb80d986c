"""aiohttp's server with what it lacks: a deadline for a connection's first request, errors in our shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ccr.errors import ApiError, RequestError
from ccr.server.dialects import error_body

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


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ()

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
        if status >= 500:  # never seen: the handler catches all errors itself
            self.logger.error("an answer could not be written", exc_info=exc)
            error = ApiError(status, "ccr could not write its answer; its log says why")
        else:
            self.logger.info("bytes that are no HTTP request", extra={"fields": {"kind": type(exc).__name__}})
            error = RequestError("this is not a valid HTTP request", status=status)
        response = web.Response(
            status=status,
            body=error_body(error, "anthropic", ""),
            headers={"content-type": "application/json", "server": "ccr"},
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

    def __call__(self) -> web.RequestHandler:
        """Return the protocol for a new connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=KEEP_ALIVE_S,
            logger=self._log,
            access_log=None,  # type: ignore[arg-type] # aiohttp takes None, its annotation does not say so
            lingering_time=LINGER_S,
            read_bufsize=READ_BYTES,
            auto_decompress=False,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Start the deadline of a new connection."""
        super().connection_made(handler, transport)
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
