"""Chat requests of OpenAI clients: sent to a chat endpoint, relayed, tapped for token counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.errors import ProtocolError, RequestError
from ccr.gateway.answers import JSON_TYPE, STREAM_TYPE, stream_not_asked_for, whole_body
from ccr.gateway.changed_answers import release
from ccr.gateway.chat_reply import ChatReply
from ccr.gateway.replies import EVENT_STREAM, Reply
from ccr.protocol.completion import decode_completion
from ccr.protocol.completion_chunks import chunks_from_completion
from ccr.protocol.errors_from_upstream import error_in_answer, upstream_error
from ccr.protocol.usage import usage_from_chat

if TYPE_CHECKING:
    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import Route
    from ccr.gateway.sending import Sending
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.remote import HookedRequest
    from ccr.upstream.client import Upstream


class CompletionsLine:
    """The line of a request that comes and goes in the chat format."""

    def __init__(
        self, sending: Sending, upstream: Upstream, recorder: Recorder, *, patience: Patience
    ) -> None:
        self._sending = sending
        self._upstream = upstream
        self._recorder = recorder
        self._patience = patience

    async def completions(
        self, chat: ChatRequest, route: Route, record: Record, body: bytes
    ) -> Reply | StreamReply:
        """Answer a chat request (which nobody else holds; body: its bytes). Raises ApiError."""
        reply = await self.answer(chat, route, record, body)
        if isinstance(reply, Reply):
            self._recorder.end(record)
        return reply

    async def answer(
        self,
        chat: ChatRequest,
        route: Route,
        record: Record,
        body: bytes,
        first: HookedRequest | None = None,
    ) -> Reply | ChatReply:
        """Answer as `completions` does; of a whole answer the record has not ended yet.

        first: what the end point of a transformer has made of the request.
        """
        if not route.url:
            raise RequestError(
                f"model: `{record.provider}` speaks the Messages API only: ask for it at /v1/messages"
            )
        chat["model"] = route.model
        record.is_stream = bool(chat.get("stream"))
        answer = await self._sending.send(route, chat, record, None, body, first)
        if record.is_stream and answer.content_type != JSON_TYPE:
            streamed = self._stream(answer, route, record)
            await streamed.begin()
            return streamed
        if answer.content_type == STREAM_TYPE:
            answer.close()
            raise stream_not_asked_for(record)
        data = await whole_body(answer, record, idle_s=self._patience_with(route).whole_s)
        provider, masked = route.provider.name, self._upstream.sent.masked
        try:
            completion = decode_completion(data)
        except ProtocolError as error:
            raise upstream_error(
                answer.status, data, answer.headers, provider=provider, model=route.model, masked=masked
            ) from error
        if completion.is_error:
            raise error_in_answer(data, provider=provider, model=route.model, masked=masked)
        if completion.usage is not None:
            record.usage = usage_from_chat(completion.usage)
        reply = Reply(200, data)
        if record.is_stream:
            headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
            reply = Reply(200, chunks_from_completion(data), headers)
        record.sent_bytes = len(reply.body)
        return reply

    async def passed(
        self, data: bytes, route: Route, record: Record, body: bytes, *, is_stream: bool
    ) -> Reply | ChatReply:
        """Relay a request and its answer as they are, in whatever form; of a whole answer the record goes on.

        data: the request; body: as it came. Raises ApiError.
        """
        record.is_stream = is_stream
        if not route.url:
            route = route._replace(url=route.provider.url)
        answer = await self._sending.pass_on(route, data, record, body)
        if answer.content_type == STREAM_TYPE:
            return self._stream(answer, route, record, is_chat=False)
        said = await whole_body(answer, record, idle_s=self._patience_with(route).whole_s)
        record.sent_bytes = len(said)
        return Reply(200, said)

    def _patience_with(self, route: Route) -> Patience:
        return self._patience.with_provider(route.provider.network.timeouts)

    def _stream(self, answer: Incoming, route: Route, record: Record, *, is_chat: bool = True) -> ChatReply:
        def on_end(reply: ChatReply) -> None:
            record.sent_bytes = reply.sent_bytes
            record.upstream_bytes = reply.received_bytes
            record.events = reply.event_count
            if reply.usage is not None:
                record.usage = usage_from_chat(reply.usage)
            if reply.is_finished and not reply.is_left:
                release(self._upstream, answer)
            else:
                answer.close()
            cancelled = None if reply.is_finished else asyncio.CancelledError()
            self._recorder.end(record, reply.error or cancelled)

        return ChatReply(
            answer,
            provider=route.provider.name,
            model=route.model,
            masked=self._upstream.sent.masked,
            patience=self._patience_with(route),
            on_end=on_end,
            is_chat=is_chat,
        )
