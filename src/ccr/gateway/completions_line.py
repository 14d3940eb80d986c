"""Chat requests of OpenAI clients: sent to a chat endpoint, relayed, tapped for token counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.errors import ProtocolError, RequestError
from ccr.gateway.answers import STREAM_TYPE, whole_body
from ccr.gateway.changed_answers import release
from ccr.gateway.chat_reply import ChatReply
from ccr.gateway.replies import Reply
from ccr.protocol.completion import decode_completion
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
        if not route.url:
            raise RequestError(
                f"model: `{record.provider}` speaks the Messages API only: ask for it at /v1/messages"
            )
        chat["model"] = route.model
        record.is_stream = bool(chat.get("stream"))
        answer = await self._sending.send(route, chat, record, None, body)
        if answer.content_type == STREAM_TYPE:
            reply = self._stream(answer, route, record)
            await reply.begin()
            return reply
        data = await whole_body(answer, record, idle_s=self._patience_with(route).whole_s)
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
        record.sent_bytes = len(data)
        self._recorder.end(record)
        return Reply(200, data)

    def _patience_with(self, route: Route) -> Patience:
        return self._patience.with_provider(route.provider.network.timeouts)

    def _stream(self, answer: Incoming, route: Route, record: Record) -> ChatReply:
        def on_end(reply: ChatReply) -> None:
            record.sent_bytes = record.upstream_bytes = reply.received_bytes
            record.events = reply.event_count
            if reply.usage is not None:
                record.usage = usage_from_chat(reply.usage)
            if reply.is_finished:
                release(self._upstream, answer)
                self._recorder.end(record)
            else:
                answer.close()
                self._recorder.end(record, reply.error or asyncio.CancelledError())

        return ChatReply(
            answer,
            provider=route.provider.name,
            model=route.model,
            patience=self._patience_with(route),
            on_end=on_end,
        )
