"""The one handler of all requests: guard, body, gateway, answer. Every answer carries its ``request-id``."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final, cast

import msgspec
from aiohttp import web

from ccr.config.model import Secret
from ccr.errors import ApiError
from ccr.gateway.replies import EVENT_STREAM, Client, Reply
from ccr.server.body import body_of
from ccr.server.dialects import error_body, error_event, error_headers
from ccr.server.early import Early
from ccr.server.guard import is_last
from ccr.server.health import health_body
from ccr.server.routes import served_at
from ccr.server.targets import dialect_of, model_of, query_of
from ccr.server.throttle import Throttle
from ccr.server.turns import Turns
from ccr.upstream.auth.on_behalf_of import HEADER as ON_BEHALF_OF_HEADER

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from ccr.gateway.replies import StreamReply
    from ccr.server.dialects import Dialect
    from ccr.server.generation import Generation
    from ccr.server.guard import Guard
    from ccr.server.live import Live
    from ccr.server.routes import Served

EVENTS: Final = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
ROOT_TEXT: Final = b"ccr is running.\n"
MAX_NAME_CHARS: Final = 128
EXPLAIN_HEADER: Final = "x-ccr-explain"
"""Asks what would be done with a request, instead of doing it."""
ERROR_EVENT: Final = b"event: error\n"
MUST_CLOSE: Final = frozenset({408, 413})
"""After these the rest of the body is not worth reading."""


def new_request_id() -> str:
    """Return the id of a request; the client shows it, the log has it."""
    return f"req_{secrets.token_hex(12)}"


class Front:
    """Answers requests.

    live: the configuration that answers. instance, key: for the proof of ``/health``. The token of the
    client's user, which the front of a Databricks App adds, is not even read where no provider asks for it.
    about: what ``/status`` says of the process.
    """

    def __init__(
        self,
        guard: Guard,
        live: Live,
        *,
        key: Secret,
        instance: str,
        log: logging.Logger,
        request_id: Callable[[], str] = new_request_id,
        about: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._guard = guard
        self._live = live
        self._key = key
        self._instance = instance
        self._log = log
        self._request_id = request_id
        self._about = about
        self._throttle = Throttle(log, time.monotonic)
        self._running: set[asyncio.Task[object]] = set()
        self._turns = Turns()
        self._is_cut = False
        self._is_leaving = False
        self.last_change_at = 0.0
        """When a request last began or ended, in monotonic seconds."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Raises only when the client has left."""
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._running.add(task)
        generation = self._live.current
        generation.begin()
        self.last_change_at = time.monotonic()
        try:
            response = await self._handle(request, generation, self._request_id())
            if not response.prepared and self._is_last_on(request):
                response.force_close()  # once it is prepared the client would not be told
            return response
        finally:
            generation.end()
            self._running.discard(task)
            self.last_change_at = time.monotonic()

    def _is_last_on(self, request: web.BaseRequest) -> bool:
        """Tell whether no further request is to be read from the connection of this one."""
        return (
            self._is_leaving
            or request.content.exception() is not None
            or is_last(request.method, request.headers, request.version)
        )

    async def _handle(
        self, request: web.BaseRequest, generation: Generation, request_id: str
    ) -> web.StreamResponse:
        dialect: Dialect = "anthropic"
        early = Early(request, lambda: self._begun(EVENTS, request_id))
        try:
            end_points = generation.plugins.end_points
            path = self._guard.path_of(request.raw_path, end_points)
            served = served_at(path, end_points)
            dialect = served.dialect or dialect_of(request.headers)
            self._guard.check(request.method, path, request.headers, request.version)
            reply = await self._reply(served, path, request, generation, early, request_id)
            begun = await early.end()
            if not isinstance(reply, Reply):
                return await self._stream(request, reply, request_id, dialect, begun)
            if begun is None:
                return _response(reply.status, reply.body, reply.headers, request_id)
            if reply.headers["content-type"] != EVENT_STREAM:
                raise ApiError(502, "the provider answered with no stream although one was asked for")
            return await _ended(begun, reply.body)
        except ApiError as error:
            return await self._failed(error, dialect, request_id, early)
        except asyncio.CancelledError:
            if not self._is_cut:
                raise  # the client left
            return await self._failed(_stopping(), dialect, request_id, early)
        except ConnectionError:
            raise  # the client left while it was being answered
        except Exception:  # noqa: BLE001 - a fault of ours must be answered, whatever it is
            self._log.exception("unexpected error", extra={"fields": {"request_id": request_id}})
            return await self._failed(_unexpected(request_id), dialect, request_id, early)
        finally:
            early.stop()

    async def _reply(
        self,
        served: Served,
        path: str,
        request: web.BaseRequest,
        generation: Generation,
        early: Early,
        request_id: str,
    ) -> Reply | StreamReply:
        gateway = generation.gateway
        match served.action:
            case "messages":
                body = await body_of(request, self._turns)
                early.watch(body, "anthropic")
                asked = gateway.explaining if _is_explanation_asked(request) else gateway
                return await asked.messages(body, _client(request, generation, request_id))
            case "count_tokens":
                return await gateway.count_tokens(await body_of(request, self._turns))
            case "chat_completions":
                body = await body_of(request, self._turns)
                early.watch(body, "openai")
                asked = gateway.explaining if _is_explanation_asked(request) else gateway
                return await asked.chat_completions(body, _client(request, generation, request_id))
            case "responses":
                body = await body_of(request, self._turns)
                early.watch(body, "responses")
                asked = gateway.explaining if _is_explanation_asked(request) else gateway
                return await asked.responses(body, _client(request, generation, request_id))
            case "end_point":
                body = await body_of(request, self._turns)
                early.watch(body, "openai")  # a comment, which is a sign of life in every form
                asked = gateway.explaining if _is_explanation_asked(request) else gateway
                return await asked.end_point(path, body, _client(request, generation, request_id))
            case "models":
                return gateway.models(dialect_of(request.headers), query_of(request.raw_path))
            case "model":
                return gateway.model(dialect_of(request.headers), model_of(request.raw_path))
            case "status":
                values = {**gateway.status(), "configuration": self._live.report(), "process": self._about()}
                return Reply(200, msgspec.json.encode(values))
            case "root":
                return Reply(200, ROOT_TEXT, {"content-type": "text/plain; charset=utf-8"})
            case "health":
                return Reply(200, health_body(request.raw_path, self._key, self._instance))

    async def _failed(
        self, error: ApiError, dialect: Dialect, request_id: str, early: Early
    ) -> web.StreamResponse:
        """Answer with an error: by its status, or as the last event where the answer has begun."""
        error = self._shown(error)
        if not early.is_watching:  # what comes so far has a record of its own in the log
            fields: dict[str, object] = {"request_id": request_id, "error": error.message}
            self._throttle.warn(f"a request was refused with {error.status}", fields)
        begun = await early.end()
        if begun is None:
            return self._refused(error, dialect, request_id)
        return await _ended(begun, error_event(error, dialect, request_id))

    def _shown(self, error: ApiError) -> ApiError:
        """Return an error without secrets: a provider may repeat what it was sent."""
        message = self._live.masked(error.message)
        return error if message == error.message else error.with_message(message)

    def _refused(self, error: ApiError, dialect: Dialect, request_id: str) -> web.Response:
        self._log.debug(
            "refused",
            extra={"fields": {"request_id": request_id, "status": error.status, "error": error.message}},
        )
        headers = {"content-type": "application/json", **error_headers(error)}
        response = _response(error.status, error_body(error, dialect, request_id), headers, request_id)
        if error.status in MUST_CLOSE:
            response.force_close()
        return response

    # -- streams ---------------------------------------------------------------------------------------

    async def _stream(
        self,
        request: web.BaseRequest,
        reply: StreamReply,
        request_id: str,
        dialect: Dialect,
        begun: web.StreamResponse | None,
    ) -> web.StreamResponse:
        """Write a stream to its end. begun: the response, where it has begun early.

        A fault that even the stream's end cannot tell ends the connection: the answer has begun.
        """
        response = begun or self._begun(reply.headers, request_id)
        try:
            return await self._written(request, reply, request_id, dialect, response)
        except ConnectionError:
            raise
        except Exception as error:
            self._log.exception("unexpected error", extra={"fields": {"request_id": request_id}})
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionError("the answer has begun already") from error

    async def _written(
        self,
        request: web.BaseRequest,
        reply: StreamReply,
        request_id: str,
        dialect: Dialect,
        response: web.StreamResponse,
    ) -> web.StreamResponse:
        """Write a stream to its end; whatever happens, the reply is closed, and with it the upstream."""
        try:
            if not response.prepared:
                await response.prepare(request)
            while data := await reply.next():
                if ERROR_EVENT in data:
                    shown = self._live.masked(data.decode("utf-8", "surrogateescape"))
                    data = shown.encode("utf-8", "surrogateescape")
                await response.write(data)
        except ApiError as error:
            await response.write(error_event(self._shown(error), dialect, request_id))
        except asyncio.CancelledError:
            if not self._is_cut:
                raise
            await response.write(error_event(_stopping(), dialect, request_id))
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours must be answered, whatever it is
            self._log.exception("unexpected error", extra={"fields": {"request_id": request_id}})
            await response.write(error_event(_unexpected(request_id), dialect, request_id))
        finally:
            reply.close()
        await response.write_eof()
        return response

    def _begun(self, headers: Mapping[str, str], request_id: str) -> web.StreamResponse:
        response = EventStream(headers=headers_of(headers, request_id))
        if self._is_leaving:
            response.force_close()
        return response

    @property
    def running_count(self) -> int:
        """How many requests are being answered."""
        return len(self._running)

    def leave(self) -> None:
        """Say on each further answer that its connection ends with it."""
        self._is_leaving = True
        self.last_change_at = time.monotonic()

    def cut(self) -> None:
        """End all requests with an error: the service stops and they took too long."""
        self._is_cut = True
        for task in self._running:
            task.cancel()


class EventStream(web.StreamResponse):
    """A response whose head goes out together with its first event."""

    _send_headers_immediately = False


def _client(request: web.BaseRequest, generation: Generation, request_id: str) -> Client:
    user_token = request.headers.get(ON_BEHALF_OF_HEADER) if generation.takes_user_token else None
    return Client(
        request_id=request_id,
        session_id=_name(request.headers.get("X-Claude-Code-Session-Id")),
        agent=_name(request.headers.get("User-Agent")),
        betas=",".join(request.headers.getall("anthropic-beta", ())) or None,
        version=_name(request.headers.get("anthropic-version")),
        user_token=Secret(user_token) if user_token is not None else None,
        headers=request.headers,
    )


async def _ended(response: web.StreamResponse, data: bytes) -> web.StreamResponse:
    """End a stream with these events."""
    await response.write(data)
    await response.write_eof()
    return response


def _response(status: int, body: bytes, headers: Mapping[str, str], request_id: str) -> web.Response:
    return web.Response(status=status, body=body, headers=headers_of(headers, request_id))


def headers_of(headers: Mapping[str, str], request_id: str) -> dict[str, str]:
    """Return the headers of an answer: Anthropic's clients read the first id, OpenAI's the second."""
    return {**headers, "request-id": request_id, "x-request-id": request_id, "server": "ccr"}


def _is_explanation_asked(request: web.BaseRequest) -> bool:
    return request.headers.get(EXPLAIN_HEADER, "").strip().lower() in {"1", "true"}


def _name(value: str | None) -> str | None:
    return value[:MAX_NAME_CHARS].encode("ascii", "replace").decode() if value else None


def _unexpected(request_id: str) -> ApiError:
    return ApiError(500, f"ccr met an unexpected error; its log says more under {request_id}")


def _stopping() -> ApiError:
    return ApiError(529, "ccr is being stopped; the answer is cut. Repeat the request when it runs again.")
