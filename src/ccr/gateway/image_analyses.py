"""Asking the image model: each request is one like a client's, with a record of its own.

What was found out is remembered for a while: the client sends its history again and again, without the calls,
and a model asks the same once more. A failure is not remembered; it becomes the result of the call, in words,
and the model goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.errors import ApiError, UpstreamError
from ccr.gateway.fallback import first_answer
from ccr.gateway.record import IMAGE_AGENT
from ccr.gateway.replies import Reply
from ccr.protocol.image_agent import ImageRule
from ccr.protocol.image_rounds import Iteration, Result
from ccr.protocol.image_task import analysis_of, analysis_request, analysis_text, check_sources
from ccr.protocol.redaction import redacted
from ccr.upstream.images.cache import BoundedCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from msgspec import Raw

    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import Route
    from ccr.protocol.image_rounds import ToolCall
    from ccr.upstream.client import Upstream

    Send = Callable[[bytes, Route, Record], Awaitable[Reply | StreamReply]]

MAX_REMEMBERED_BYTES: Final = 1024 * 1024


class Told(NamedTuple):
    """The result of a call, and what it cost; None where nothing was asked."""

    result: Result
    cost: Iteration | None = None


def whole(reply: Reply | StreamReply, record: Record) -> Reply:
    """Return an answer to a request for a whole one. Raises UpstreamError for a stream, which is closed."""
    if isinstance(reply, Reply):
        return reply
    reply.close()
    raise UpstreamError(502, f"{record.provider} answered with a stream", should_retry=False)


class Analyses:
    """Answers the calls of all requests. send: answers a request by a route."""

    def __init__(self, recorder: Recorder, upstream: Upstream, send: Send) -> None:
        self._recorder = recorder
        self._upstream = upstream
        self._send = send
        self._known: BoundedCache[tuple[str, bytes], str] = BoundedCache(MAX_REMEMBERED_BYTES)

    async def told(
        self, call: ToolCall, images: Mapping[str, Raw], routes: Sequence[Route], record: Record
    ) -> Told:
        """Return the result of one call. routes: to the image model. record: of the request it belongs to."""
        cost: Iteration | None = None
        title = ""
        try:
            analysis = analysis_of(call.input, images)
            title = analysis.title
            check_sources(analysis)
            key = (f"{routes[0].provider.name},{routes[0].model}", analysis.key)
            text = self._known.get(key)
            if text is not None:
                record.note(ImageRule.REMEMBERED)
                return Told(Result(call, text, title=title))
            body = analysis_request(analysis, routes[0].model)
            asked = self._begun(routes, body, record)
            reply = await self._answer(body, routes, asked)
            cost = Iteration(asked.usage, asked.upstream_model) if asked.usage is not None else None
            text = analysis_text(reply.body)
        except ApiError as error:
            record.note(ImageRule.FAILED)
            said = f"The images could not be looked at. {redacted(self._upstream.sent.masked(error.message))}"
            return Told(Result(call, said, is_error=True, title=title), cost)
        record.note(ImageRule.ANALYZED)
        self._known.put(key, text, len(text.encode("utf-8", "replace")))
        return Told(Result(call, text, title=title), cost)

    def _begun(self, routes: Sequence[Route], body: bytes, record: Record) -> Record:
        """Return the record of a request to the image model."""
        asked = self._recorder.begin(record.client, IMAGE_AGENT, body)
        asked.model = f"{routes[0].provider.name},{routes[0].model}"
        asked.rule = IMAGE_AGENT
        asked.is_aside = True
        return asked

    async def _answer(self, body: bytes, routes: Sequence[Route], asked: Record) -> Reply:
        async def ask(route: Route) -> Reply:
            return whole(await self._send(body, route, asked), asked)

        try:
            return await first_answer(routes, asked, ask)
        except BaseException as error:  # a request whose client left leaves its record as well
            self._recorder.end(asked, error)
            raise
