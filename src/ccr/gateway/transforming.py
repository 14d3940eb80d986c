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
from ccr.protocol.request_rules import RequestRule
from ccr.transformers.base import Target
from ccr.transformers.chunks import ChunkFilter
from ccr.transformers.pipeline import RemoteSteps
from ccr.transformers.remote import Asked
from ccr.transformers.steps import Steps, checked_target
from ccr.transformers.targets import origin_of
from ccr.transformers.unified import (
    ANSWERED_BY_PLUGIN,
    LEFT_TO_PLUGIN,
    offer,
    taken_back,
    thoughts_in,
    without_thoughts,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Route
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context
    from ccr.transformers.remote import HookedRequest, RemoteStep

NOT_ASKED: Final = Asked(b"", {}, "")
_DECODE: Final = msgspec.json.Decoder().decode


class Outgoing(NamedTuple):
    """A request after its transformers. chat: None when the body is no chat request any more.

    Then it goes as it is, as ``body``, past limits and repairs. headers: None takes a header away.
    asked: what the client asked, where steps of another process look at it. timeout_s: how long the upstream
    may take to answer, None: as long as it always may. undone: rules of the conversion that do not count.
    """

    chat: ChatRequest | None
    body: bytes
    url: str
    headers: Mapping[str, str | None]
    asked: Asked = NOT_ASKED
    timeout_s: float | None = None
    rules: tuple[str, ...] = ()
    undone: frozenset[str] = frozenset()


class Transforming:
    """Passes requests and answers of all routes through their transformers."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    async def request(
        self,
        chat: ChatRequest,
        route: Route,
        context: Context,
        asked: Callable[[], Awaitable[Asked]],
        *,
        first: HookedRequest | None = None,
        is_converted: bool = False,
    ) -> Outgoing:
        """Return what is sent instead of ``chat``, and where. asked: gives what the client asked.

        first: what the end point of a transformer has made of it; is_converted: the client's own request had
        another format. Raises ApiError.
        """
        start = Outgoing(None, b"", route.url, {})
        if first is not None:
            start = _after(start, first)
        try:
            if route.pipeline.has_remote:
                start = start._replace(asked=await asked())
                return await _hopped(chat, route, context, start, is_converted=is_converted)
            return _passed(chat, route, context, start)
        except TransformerError as error:
            self.failed(error, context)
            raise

    async def authorized(self, body: bytes, route: Route, context: Context, asked: Asked) -> Outgoing:
        """Return a request that passes the one transformer of its route but for its ``auth``.

        Raises ApiError.
        """
        step = cast("RemoteStep", route.pipeline.steps[0])
        try:
            hooked = await step.authorize(body, context, asked)
            outgoing = _after(Outgoing(None, hooked.body, route.url, {}, asked), hooked)
            target = checked_target(Target(outgoing.url, outgoing.headers), step.name)
        except TransformerError as error:
            self.failed(error, context)
            raise
        return outgoing._replace(headers=_headers(route, target))

    async def answer(
        self, answer: Incoming, route: Route, context: Context, outgoing: Outgoing, record: Record
    ) -> Incoming:
        """Return an answer as its transformers change it. Raises ApiError, and has closed it then."""
        try:
            for part in route.pipeline.returning:
                if isinstance(part, RemoteSteps):
                    steps = part.responding
                    if steps:
                        answer = await HoppedAnswer.through(answer, part.host, steps, context, outgoing.asked)
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


def _passed(chat: ChatRequest, route: Route, context: Context, start: Outgoing) -> Outgoing:
    """Pass a request through steps of this process."""
    chat = route.pipeline.request(chat, context)
    target = route.pipeline.target(Target(start.url, start.headers), context)
    made = _outgoing(chat, route, target)
    if start.timeout_s is None and not start.rules:
        return made
    return made._replace(timeout_s=start.timeout_s, rules=start.rules)


async def _hopped(
    chat: ChatRequest, route: Route, context: Context, start: Outgoing, *, is_converted: bool
) -> Outgoing:
    """Pass a request through steps of which some run elsewhere; these are shown thinking (unified.py)."""
    value: ChatRequest | bytes = chat
    thoughts = thoughts_in(chat) if is_converted else frozenset()
    outgoing = start
    for part in route.pipeline.parts:
        if isinstance(part, Steps):
            if isinstance(value, bytes):
                raise TransformerError(part.steps[0].name, "request", "the step before made no JSON object")
            value = part.request(value, context)
            target = part.target(Target(outgoing.url, outgoing.headers), context)
            outgoing = outgoing._replace(url=target.url, headers=target.headers)
        else:
            value, outgoing = await _hop(value, part, outgoing, context)
    if thoughts and isinstance(value, dict) and _is_chat(value):
        kept = without_thoughts(value, thoughts)
        if kept is not value:
            outgoing = outgoing._replace(rules=(*outgoing.rules, RequestRule.THINKING_HISTORY_DROPPED.value))
        value = kept
    made = _outgoing(value, route, Target(outgoing.url, outgoing.headers))
    return outgoing._replace(chat=made.chat, body=made.body, headers=made.headers)


async def _hop(
    value: ChatRequest | bytes, part: RemoteSteps, outgoing: Outgoing, context: Context
) -> tuple[ChatRequest | bytes, Outgoing]:
    """Pass a request through steps of one host elsewhere."""
    if not part.requesting:
        return value, outgoing
    offered = offer(value, context.thinking) if isinstance(value, dict) else None
    body = bytes_of(value if offered is None else offered.chat)
    for step in part.requesting:
        hooked = await step.request(body, context, outgoing.asked)
        body = hooked.body
        outgoing = _after(outgoing, hooked)
        checked_target(Target(outgoing.url, outgoing.headers), step.name)
    value = _object_or_bytes(body)
    if offered is None or offered.reasoning is None:
        return value, outgoing
    back = taken_back(value, offered) if isinstance(value, dict) else None
    if back is not None:
        return back, outgoing
    return value, outgoing._replace(rules=(*outgoing.rules, LEFT_TO_PLUGIN), undone=ANSWERED_BY_PLUGIN)


def _after(outgoing: Outgoing, hooked: HookedRequest) -> Outgoing:
    """Return where a request goes after a step elsewhere."""
    return outgoing._replace(
        url=hooked.url or outgoing.url,
        headers={**outgoing.headers, **hooked.headers},
        timeout_s=outgoing.timeout_s if hooked.timeout_s is None else hooked.timeout_s,
        rules=outgoing.rules + hooked.rules,
    )


def _outgoing(value: ChatRequest | bytes, route: Route, target: Target) -> Outgoing:
    headers = _headers(route, target)
    if isinstance(value, bytes) or not _is_chat(value):
        return Outgoing(None, bytes_of(value), target.url, headers)
    return Outgoing(value, b"", target.url, headers)


def _object_or_bytes(body: bytes) -> ChatRequest | bytes:
    """Return the JSON object in a body, the body when there is none."""
    try:
        value = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    return cast("ChatRequest", value) if isinstance(value, dict) else body


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
