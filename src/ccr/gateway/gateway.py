"""The line of a request: decode, choose, convert, transform, send, convert back.

Each public method takes a body and returns a reply, or raises an ApiError; it leaves one record either way.
This module knows neither HTTP libraries nor sockets: what comes in are bytes, what goes out are replies.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from ccr.errors import ProtocolError, RequestError, UpstreamError
from ccr.gateway.answers import JSON_TYPE, STREAM_TYPE, StreamEnds, note_stream, whole_body
from ccr.gateway.chat_reply import ChatReply
from ccr.gateway.learning import Learning
from ccr.gateway.message_reply import MessageReply
from ccr.gateway.metrics import Metrics
from ccr.gateway.models import models_page
from ccr.gateway.native import Native, request_of
from ccr.gateway.patience import Patience
from ccr.gateway.payload import Payloads
from ccr.gateway.record import Record, Recorder
from ccr.gateway.refusal import is_refusal, refusal_body, refusal_from_answer
from ccr.gateway.repairing import Repairing
from ccr.gateway.replies import EVENT_STREAM, Client, Reply, StreamReply
from ccr.protocol.anthropic import decode_count_request, decode_messages_request
from ccr.protocol.chat_from_messages import Conversion, chat_request_from_messages
from ccr.protocol.completion import decode_completion
from ccr.protocol.errors_from_upstream import error_in_answer, upstream_error
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.openai import decode_chat_request
from ccr.protocol.stream import MessageStream
from ccr.protocol.usage import usage_from_chat

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from ccr.config.model import Config
    from ccr.gateway.routes import Route, Routes
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.openai import ChatRequest
    from ccr.upstream.answer import Answer
    from ccr.upstream.client import Upstream


def new_message_id() -> str:
    """Return an id that was never given before: the client merges turns whose messages have the same one."""
    return f"msg_{secrets.token_hex(12)}"


class Gateway:
    """Answers the requests of all clients by one configuration (routes: made from the same).

    message_id: makes the ids of messages. clock: monotonic seconds.
    """

    def __init__(
        self,
        config: Config,
        routes: Routes,
        upstream: Upstream,
        *,
        logger: logging.Logger,
        message_id: Callable[[], str] = new_message_id,
        clock: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
        payloads: Payloads | None = None,
    ) -> None:
        self.metrics = Metrics()
        self.repairing = Repairing(clock)
        self._routes = routes
        self._upstream = upstream
        self._recorder = Recorder(self.metrics, logger, clock=clock)
        self._message_id = message_id
        self._clock = clock
        self._patience = patience or Patience()
        self._learning = Learning(clock)
        self._payloads = payloads or Payloads(logger=logger)
        self._ends = StreamEnds(upstream, self._recorder, self._learning)
        self._native = Native(
            routes.messages_urls,
            upstream,
            self._recorder,
            self._learning,
            self._payloads,
            logger=logger,
            patience=self._patience,
            clock=clock,
        )
        self._models = models_page(config)

    # -- what the front calls --------------------------------------------------------------------------

    async def messages(self, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer ``POST /v1/messages``."""
        record = self._recorder.begin(client, "messages", body)
        try:
            return await self._messages(body, record)
        except BaseException as error:  # a cancelled request leaves its record as well
            self._recorder.end(record, error)
            raise

    async def chat_completions(self, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer ``POST /v1/chat/completions``."""
        record = self._recorder.begin(client, "chat_completions", body)
        try:
            return await self._chat_completions(body, record)
        except BaseException as error:  # a cancelled request leaves its record as well
            self._recorder.end(record, error)
            raise

    def count_tokens(self, body: bytes) -> Reply:
        """Answer ``POST /v1/messages/count_tokens`` from an estimate; nothing is sent anywhere."""
        request = decode_count_request(body)
        route, _ = self._routes.find(request.model)
        return Reply(200, b'{"input_tokens":%d}' % self._learning.estimate(request, route))

    def models(self) -> Reply:
        """Answer ``GET /v1/models``."""
        return Reply(200, self._models)

    def status(self) -> Reply:
        """Answer ``GET /status``: counters since the start, repairs that requests needed, and who we are."""
        values = {
            **self.metrics.snapshot(),
            "repairs": self.repairing.snapshot(),
            "identities": self._upstream.identities(),
        }
        return Reply(200, msgspec.json.encode(values))

    # -- messages --------------------------------------------------------------------------------------

    async def _messages(self, body: bytes, record: Record) -> Reply | StreamReply:
        if self._native.is_anywhere:
            native = request_of(body)
            reply = await self._native.messages(native, body, self._find(native.model, record), record)
            if reply is not None:
                return reply
        request = decode_messages_request(body)
        route = self._find(request.model, record)
        conversion = chat_request_from_messages(request, model=route.model, traits=route.traits)
        record.rules = conversion.rules
        record.is_stream = bool(request.stream)
        answer = await self._send(route, conversion.chat, record, request)
        if request.stream and answer.content_type != JSON_TYPE:
            return self._message_stream(answer, request, conversion, route, record)
        data = await whole_body(answer, record, idle_s=self._patience.idle_s)
        if request.stream:
            return self._burst(data, request, conversion, route, record)
        if answer.content_type == STREAM_TYPE:
            raise UpstreamError(
                502,
                f"{record.provider} answered with a stream although none was asked for",
                should_retry=False,
            )
        message = message_from_chat(
            data,
            message_id=self._message_id(),
            model=request.model,
            tool_ids=conversion.tool_ids,
            json_tool=conversion.json_tool,
            provider=route.provider.name,
        )
        reply = Reply(200, message.encode())
        record.rules += message.rules
        record.usage = message.usage
        record.stop_reason = message.stop_reason
        self._learning.learn(route, self._learning.sample(request, route), message.usage)
        self._end(record, reply)
        return reply

    def _message_stream(
        self, answer: Answer, request: MessagesRequest, conversion: Conversion, route: Route, record: Record
    ) -> MessageReply:
        return MessageReply(
            answer,
            self._stream(request, conversion, route),
            patience=self._patience,
            clock=self._clock,
            on_end=self._ends.of(record, route, self._learning.sample(request, route)),
        )

    def _burst(
        self, data: bytes, request: MessagesRequest, conversion: Conversion, route: Route, record: Record
    ) -> Reply:
        """Return all events of a completion that came where a stream was asked for."""
        if not data.lstrip().startswith(b"{"):
            raise upstream_error(200, data, {}, provider=route.provider.name, model=route.model)
        stream = self._stream(request, conversion, route)
        lines = data.replace(b"\r", b" ").replace(b"\n", b"\ndata: ")
        out = stream.feed(b"data: " + lines + b"\n\n") + stream.close()
        note_stream(record, stream)
        if stream.error is not None:
            raise stream.error
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
        )

    # -- chat completions ------------------------------------------------------------------------------

    async def _chat_completions(self, body: bytes, record: Record) -> Reply | StreamReply:
        chat = decode_chat_request(body)
        route = self._find(chat["model"], record)
        if not route.url:
            raise RequestError(
                f"model: `{record.provider}` speaks the Messages API only: ask for it at /v1/messages"
            )
        chat["model"] = route.model
        record.is_stream = bool(chat.get("stream"))
        answer = await self._send(route, chat, record, None)
        if answer.content_type == STREAM_TYPE:
            return self._chat_stream(answer, route, record)
        data = await whole_body(answer, record, idle_s=self._patience.idle_s)
        try:
            completion = decode_completion(data)
        except ProtocolError as error:
            raise upstream_error(
                answer.status, data, answer.headers, provider=route.provider.name, model=route.model
            ) from error
        if completion.is_error:
            raise error_in_answer(data, provider=route.provider.name, model=route.model)
        if completion.usage is not None:
            record.usage = usage_from_chat(completion.usage)
        reply = Reply(200, data)
        self._end(record, reply)
        return reply

    def _chat_stream(self, answer: Answer, route: Route, record: Record) -> ChatReply:
        def on_end(reply: ChatReply) -> None:
            record.sent_bytes = record.upstream_bytes = reply.received_bytes
            record.events = reply.event_count
            if reply.usage is not None:
                record.usage = usage_from_chat(reply.usage)
            if reply.is_finished:
                self._upstream.release(answer)
                self._recorder.end(record)
            else:
                answer.close()
                self._recorder.end(record, reply.error or asyncio.CancelledError())

        return ChatReply(answer, provider=route.provider.name, patience=self._patience, on_end=on_end)

    # -- parts of both ---------------------------------------------------------------------------------

    def _find(self, model: str, record: Record) -> Route:
        record.model = model
        route, record.rule = self._routes.find(model)
        record.provider = route.provider.name
        record.upstream_model = route.model
        return route

    async def _send(
        self, route: Route, chat: ChatRequest, record: Record, request: MessagesRequest | None
    ) -> Answer:
        """Send the request after its transformers; return an answer that looks like a model's.

        A request that is refused for something that can be repaired is repaired and sent again.
        """
        name = f"{route.provider.name},{route.model}"
        chat = await self._payloads.chat(route.pipeline.request(chat), route, record)
        attempt = self.repairing.begin(name, chat)
        try:
            while True:
                attempt.chat, body = await self._payloads.fitted_chat(attempt.chat, route, record, request)
                answer = await self._upstream.open(
                    route.provider,
                    route.url,
                    body,
                    stream=record.is_stream,
                    user_token=record.client.user_token,
                )
                self._recorder.answered(record)
                if not is_refusal(answer):
                    attempt.accept()
                    return answer
                said = await refusal_body(answer)
                if not attempt.repair(answer.status, said):
                    estimated = self._learning.estimate(request, route) if request is not None else None
                    raise refusal_from_answer(answer, said, route, estimated_tokens=estimated)
        finally:
            record.rules += attempt.rules

    def _end(self, record: Record, reply: Reply) -> None:
        record.sent_bytes = len(reply.body)
        self._recorder.end(record)
