"""The transformers of a route at work: a request out through its parts, an answer back through them.

A route whose steps change nothing on the way back gives the upstream's answer itself. Steps of this process
wrap it, steps of another process are a hop through which its bytes flow (changed_answers.py). Each failure
of a transformer is logged here, with its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec

from ccr.errors import TransformerError
from ccr.gateway.answers import JSON_TYPE, STREAM_TYPE
from ccr.gateway.changed_answers import HoppedAnswer, StreamThroughSteps, WholeThroughSteps, bytes_of
from ccr.transformers.base import Target
from ccr.transformers.chunks import ChunkFilter
from ccr.transformers.pipeline import RemoteSteps
from ccr.transformers.steps import checked_target
from ccr.transformers.targets import origin_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Route
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context

_DECODE: Final = msgspec.json.Decoder().decode


class Outgoing(NamedTuple):
    """A request after its transformers. chat: None when the body is no chat request any more.

    Then it goes as it is, as ``body``, past limits and repairs. headers: None takes a header away.
    """

    chat: ChatRequest | None
    body: bytes
    url: str
    headers: Mapping[str, str | None]


class Transforming:
    """Passes requests and answers of all routes through their transformers."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    async def request(self, chat: ChatRequest, route: Route, context: Context) -> Outgoing:
        """Return what is sent instead of ``chat``, and where. Raises ApiError."""
        try:
            return await _request(chat, route, context)
        except TransformerError as error:
            self.failed(error, context)
            raise

    async def answer(self, answer: Incoming, route: Route, context: Context, record: Record) -> Incoming:
        """Return an answer as its transformers change it. Raises ApiError, and has closed it then."""
        try:
            for part in route.pipeline.returning:
                if isinstance(part, RemoteSteps):
                    steps = part.responding
                    if steps:
                        answer = await HoppedAnswer.through(answer, part.host, steps, context)
                elif _is_stream(answer, context):
                    made = part.chunk_steps(context)
                    if made:
                        answer = StreamThroughSteps(answer, ChunkFilter(made), self, context, record)
                elif part.may_complete:
                    answer = WholeThroughSteps(answer, part, self, context)
        except BaseException as error:
            answer.close()
            if isinstance(error, TransformerError):
                self.failed(error, context)
            raise
        return answer

    def failed(self, error: TransformerError, context: Context) -> None:
        """Log that a transformer failed, with what it raised."""
        fields = {
            "request_id": context.request_id,
            "transformer": error.name,
            "hook": error.hook,
            "provider": context.provider,
            "error": error.message,
        }
        self._logger.error("a transformer failed", extra={"fields": fields}, exc_info=error.__cause__)


async def _request(chat: ChatRequest, route: Route, context: Context) -> Outgoing:
    target = Target(route.url, {})
    value: ChatRequest | bytes = chat
    for part in route.pipeline.parts:
        if isinstance(part, RemoteSteps):
            value, target = await _asked(part, bytes_of(value), target, context)
        elif isinstance(value, bytes):
            raise TransformerError(part.steps[0].name, "request", "the step before it made no JSON object")
        else:
            value = part.request(value, context)
            target = part.target(target, context)
    headers = _headers(route, target)
    if isinstance(value, bytes) or not _is_chat(value):
        return Outgoing(None, bytes_of(value), target.url, headers)
    return Outgoing(value, b"", target.url, headers)


async def _asked(
    part: RemoteSteps, body: bytes, target: Target, context: Context
) -> tuple[ChatRequest | bytes, Target]:
    for step in part.steps:
        hooked = await step.request(body, context)
        body = hooked.body
        target = Target(hooked.url or target.url, {**target.headers, **hooked.headers})
        checked_target(target, step.name)
    try:
        value = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body, target
    return (cast("ChatRequest", value) if isinstance(value, dict) else body), target


def _is_chat(value: ChatRequest) -> bool:
    """Tell whether a step left a chat request; a step for another format makes something else of it."""
    given = cast("dict[str, Any]", value)
    messages = given.get("messages")
    return (
        isinstance(given.get("model"), str)
        and isinstance(messages, list)
        and all(isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages)
    )


def _headers(route: Route, target: Target) -> Mapping[str, str | None]:
    """Return the headers to send: a key never follows a request that was sent elsewhere than configured."""
    headers = target.headers
    if target.url == route.url or origin_of(target.url) == origin_of(route.url):
        return headers
    if any(name.lower() == "authorization" for name in headers):
        return headers
    return {**headers, "authorization": None}


def _is_stream(answer: Incoming, context: Context) -> bool:
    if answer.content_type == STREAM_TYPE:
        return True
    return context.is_stream and answer.content_type != JSON_TYPE
