"""Requests of the Responses API: made a chat request, sent as one, and their answers made responses.

request    -> chat_from_responses -> routing -> chat_for_model -> the chat line, as for /v1/chat/completions
answer     <- ResponseStream      <-

A provider that has the Messages API alone is asked in that format: the chat becomes a Messages request, its
answer chunks.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, cast

import msgspec

from ccr.config.api import is_workspace_url
from ccr.errors import ProtocolError, UpstreamError
from ccr.gateway.bodies import read
from ccr.gateway.native_response_reply import NativeResponseReply
from ccr.gateway.replies import EVENT_STREAM, Reply
from ccr.gateway.response_reply import ResponseReply
from ccr.protocol.chat_from_responses import chat_from_responses
from ccr.protocol.chunks_from_message import completion_from_message
from ccr.protocol.messages_from_chat import messages_body_from_chat
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.response_stream import ResponseStream, response_from_completion
from ccr.protocol.responses_for_model import CLAUDE, chat_for_model
from ccr.protocol.responses_request import decode_responses_request
from ccr.routing.responses_view import ResponsesView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.gateway.chat_reply import ChatReply
    from ccr.gateway.completions_line import CompletionsLine
    from ccr.gateway.message_reply import MessageReply
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import Route
    from ccr.protocol.call_extras import CallExtras
    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.responses_request import ResponsesRequest
    from ccr.upstream.client import Upstream


class ResponsesLine:
    """What requests of the Responses API are answered with.

    last_bytes_s: how long the end of an answer is waited for that is complete. natively: sends the body of a
    Messages request to a route.
    """

    def __init__(
        self,
        completions: CompletionsLine,
        upstream: Upstream,
        recorder: Recorder,
        call_extras: CallExtras,
        *,
        last_bytes_s: float,
        natively: Callable[[bytes, Route, Record], Awaitable[Reply | StreamReply]],
    ) -> None:
        self.completions = completions
        self.upstream = upstream
        self.recorder = recorder
        self.call_extras = call_extras
        self.last_bytes_s = last_bytes_s
        self.natively = natively

    def begin(self, body: bytes, record: Record) -> tuple[OneResponse, bytes]:
        """Return a request that begins, and the body it was made of. Raises RequestError (400)."""
        request, body = read(decode_responses_request, body, record)
        record.is_stream = bool(request.stream)
        return OneResponse(self, request, body, record), body


class OneResponse:
    """One request of the Responses API, and its answer."""

    def __init__(self, line: ResponsesLine, request: ResponsesRequest, body: bytes, record: Record) -> None:
        self._line = line
        self._request = request
        self._body = body
        self._record = record
        self._conversion = chat_from_responses(request)
        self.chat = self._conversion.chat
        self.view = ResponsesView(request, self.chat, body)

    async def ask(self, chat: ChatRequest, route: Route) -> Reply | StreamReply:
        """Ask a route. chat: the request in the chat format. Raises ApiError."""
        if not route.url and route.messages_url is not None:
            return await self._ask_natively(chat, route)
        line, record = self._line, self._record
        made, rules = chat_for_model(
            chat,
            is_summary_wanted=self._request.is_summary_wanted,
            traits=route.traits,
            is_workspace=is_workspace_url(route.url),
        )
        record.rules = self._rules_with(rules)
        restored = line.call_extras.restored(_name(route), made)
        if restored is not made:
            record.note(RequestRule.CALL_SIGNATURE_RESTORED.value)
        inner = await line.completions.answer(restored.copy(), route, record, self._body)
        stream = self._stream(route)
        if not isinstance(inner, Reply):
            return self._streamed(inner, stream, route)
        return self._whole(inner, stream, route)

    async def _ask_natively(self, chat: ChatRequest, route: Route) -> Reply | StreamReply:
        """Ask a provider that has the Messages API alone, and so takes what Claude takes."""
        made, rules = chat_for_model(
            chat,
            is_summary_wanted=self._request.is_summary_wanted,
            traits=msgspec.structs.replace(route.traits, family=CLAUDE),
        )
        rules = self._rules_with(rules)
        inner = await self._line.natively(messages_body_from_chat(made), route, self._record)
        self._record.rules = rules + tuple(rule for rule in self._record.rules if rule not in rules)
        stream = self._stream(route)
        if not isinstance(inner, Reply):
            return NativeResponseReply(cast("MessageReply", inner), stream)
        try:
            completion = completion_from_message(inner.body)
        except ProtocolError as error:
            raise UpstreamError(502, f"{route.provider.name}, {route.model}: {error}") from error
        return Reply(200, response_from_completion(completion, stream))

    def _rules_with(self, rules: tuple[str, ...]) -> tuple[str, ...]:
        earlier = self._conversion.rules
        return earlier + tuple(rule for rule in rules if rule not in earlier)

    def _whole(self, inner: Reply, stream: ResponseStream, route: Route) -> Reply:
        if inner.headers["content-type"] == EVENT_STREAM:
            out = stream.feed(inner.body) + stream.close()
            if stream.error is not None:
                raise stream.error
            reply = Reply(200, out, inner.headers)
        else:
            reply = Reply(200, response_from_completion(inner.body, stream))
        self._record.sent_bytes = len(reply.body)
        self._end(stream, route)
        self._line.recorder.end(self._record)
        return reply

    def _streamed(self, inner: ChatReply, stream: ResponseStream, route: Route) -> StreamReply:
        return ResponseReply(
            inner,
            stream,
            last_bytes_s=self._line.last_bytes_s,
            on_end=lambda: self._end(stream, route),
        )

    def _end(self, stream: ResponseStream, route: Route) -> None:
        """Put into the record what an answer has told, and remember what stands beside its calls."""
        self._record.stop_reason = stream.stop_reason
        for rule in stream.rules:
            self._record.note(rule)
        self._line.call_extras.put(_name(route), stream.call_extras)

    def _stream(self, route: Route) -> ResponseStream:
        return ResponseStream(
            self._request,
            self._conversion,
            response_id=f"resp_{secrets.token_hex(12)}",
            created_at=int(time.time()),
            provider=route.provider.name,
            model=route.model,
            masked=self._line.upstream.sent.masked,
        )


def _name(route: Route) -> str:
    return f"{route.provider.name},{route.model}"
