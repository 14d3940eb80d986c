"""Messages requests that are answered by a chat endpoint: converted, sent, converted back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.gateway.answers import (
    JSON_TYPE,
    STREAM_TYPE,
    StreamEnds,
    note_stream,
    stream_not_asked_for,
    whole_body,
)
from ccr.gateway.message_reply import MessageReply
from ccr.gateway.recovery import recovery_for
from ccr.gateway.replies import EVENT_STREAM, Reply
from ccr.protocol.chat_from_messages import Conversion, chat_request_from_messages
from ccr.protocol.errors_from_upstream import upstream_error
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.recovery import continued_chat, takes_prefill
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.stream import MessageStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.learning import Learning
    from ccr.gateway.patience import Patience
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import Route
    from ccr.gateway.sending import Sending
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.call_extras import CallExtras
    from ccr.protocol.openai import ChatRequest
    from ccr.upstream.client import Upstream


class ChatLine:
    """The line of a translated request. message_id: makes the ids of messages. clock: monotonic seconds."""

    def __init__(
        self,
        sending: Sending,
        upstream: Upstream,
        recorder: Recorder,
        learning: Learning,
        call_extras: CallExtras,
        *,
        patience: Patience,
        message_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._sending = sending
        self._upstream = upstream
        self._recorder = recorder
        self._learning = learning
        self._call_extras = call_extras
        self._patience = patience
        self._message_id = message_id
        self._clock = clock
        self._ends = StreamEnds(upstream, recorder, learning)

    async def messages(
        self, request: MessagesRequest, route: Route, record: Record, body: bytes
    ) -> Reply | StreamReply:
        """Answer a Messages request (body: its bytes) by the chat endpoint of a route. Raises ApiError."""
        conversion = chat_request_from_messages(request, model=route.model, traits=route.traits)
        record.rules = conversion.rules
        record.is_stream = bool(request.stream)
        chat = self._call_extras.restored(_name(route), conversion.chat)
        if chat is not conversion.chat:
            record.rules += (RequestRule.CALL_SIGNATURE_RESTORED.value,)
        answer = await self._sending.send(route, chat, record, request, body)
        if request.stream and answer.content_type != JSON_TYPE:
            reply = self._message_stream(answer, chat, request, conversion, route, record, body)
            await reply.begin()
            return reply
        if not request.stream and answer.content_type == STREAM_TYPE:
            answer.close()
            raise stream_not_asked_for(record)
        data = await whole_body(answer, record, idle_s=self._patience_with(route).whole_s)
        if request.stream:
            return self._burst(data, request, conversion, route, record)
        message = message_from_chat(
            data,
            message_id=self._message_id(),
            model=request.model,
            tool_ids=conversion.tool_ids,
            json_tool=conversion.json_tool,
            provider=route.provider.name,
            masked=self._upstream.sent.masked,
        )
        self._call_extras.put(_name(route), message.call_extras)
        whole = Reply(200, message.encode())
        record.rules += message.rules
        record.usage = message.usage
        record.stop_reason = message.stop_reason
        self._learning.learn(route, self._learning.sample(request, route), message.usage)
        self._end(record, whole)
        return whole

    def _message_stream(
        self,
        answer: Incoming,
        chat: ChatRequest,
        request: MessagesRequest,
        conversion: Conversion,
        route: Route,
        record: Record,
        body: bytes,
    ) -> MessageReply:
        stream = self._stream(request, conversion, route)
        end = self._ends.of(record, route, self._learning.sample(request, route))

        async def rest(text: str) -> tuple[Incoming, MessageStream]:
            nonlocal stream
            more = continued_chat(chat, text, is_prefill=takes_prefill(route.traits))
            answer = await self._sending.send(route, more, record, request, body)
            stream = self._stream(request, conversion, route)
            return answer, stream

        def on_end(reply: MessageReply) -> None:
            self._call_extras.put(_name(route), stream.call_extras)
            end(reply)

        return MessageReply(
            answer,
            stream,
            provider=route.provider.name,
            patience=self._patience_with(route),
            clock=self._clock,
            on_end=on_end,
            # The text of such an answer is the arguments of a tool call, which is not gone on with.
            recovery=recovery_for(route, record, rest) if conversion.json_tool is None else None,
        )

    def _burst(
        self, data: bytes, request: MessagesRequest, conversion: Conversion, route: Route, record: Record
    ) -> Reply:
        """Return all events of a completion that came where a stream was asked for."""
        if not data.lstrip().startswith(b"{"):
            raise upstream_error(
                200,
                data,
                {},
                provider=route.provider.name,
                model=route.model,
                masked=self._upstream.sent.masked,
            )
        stream = self._stream(request, conversion, route)
        lines = data.replace(b"\r", b" ").replace(b"\n", b"\ndata: ")
        out = stream.feed(b"data: " + lines + b"\n\n") + stream.close()
        note_stream(record, stream)
        self._call_extras.put(_name(route), stream.call_extras)
        if stream.error is not None:
            raise stream.error
        self._learning.learn(route, self._learning.sample(request, route), stream.usage)
        reply = Reply(200, out, {"content-type": EVENT_STREAM, "cache-control": "no-cache"})
        self._end(record, reply)
        return reply

    def _stream(self, request: MessagesRequest, conversion: Conversion, route: Route) -> MessageStream:
        return MessageStream(
            message_id=self._message_id(),
            model=request.model,
            tool_ids=conversion.tool_ids,
            json_tool=conversion.json_tool,
            thinking="thinking" in conversion.chat,
            provider=route.provider.name,
            masked=self._upstream.sent.masked,
        )

    def _patience_with(self, route: Route) -> Patience:
        return self._patience.with_provider(route.provider.network.timeouts)

    def _end(self, record: Record, reply: Reply) -> None:
        record.sent_bytes = len(reply.body)
        self._recorder.end(record)


def _name(route: Route) -> str:
    return f"{route.provider.name},{route.model}"
