"""Sending a chat request: its transformers, its size, the upstream, and what a refusal makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.gateway.refusal import is_refusal, refusal_body, refusal_from_answer
from ccr.protocol.thinking_wish import wish_from_request
from ccr.transformers.base import Context

if TYPE_CHECKING:
    from ccr.gateway.learning import Learning
    from ccr.gateway.payload import Payloads
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.repairing import Repairing
    from ccr.gateway.routes import Route
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.openai import ChatRequest
    from ccr.upstream.answer import Answer
    from ccr.upstream.client import Upstream


class Sending:
    """Sends the chat requests of all routes."""

    def __init__(
        self,
        upstream: Upstream,
        recorder: Recorder,
        learning: Learning,
        payloads: Payloads,
        repairing: Repairing,
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._learning = learning
        self._payloads = payloads
        self._repairing = repairing

    async def send(
        self, route: Route, chat: ChatRequest, record: Record, request: MessagesRequest | None
    ) -> Answer:
        """Send the request after its transformers; return an answer that looks like a model's.

        A request that is refused for something that can be repaired is repaired and sent again.
        request: what the client asked, None when it asked in this format. Raises ApiError.
        """
        name = f"{route.provider.name},{route.model}"
        chat = route.pipeline.request(chat, context_of(route, record, request))
        chat = await self._payloads.chat(chat, route, record)
        attempt = self._repairing.begin(name, chat)
        try:
            while True:
                attempt.request, body = await self._payloads.fitted_chat(
                    attempt.request, route, record, request
                )
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


def context_of(route: Route, record: Record, request: MessagesRequest | None = None) -> Context:
    """Return what the transformers of a request may know about it; request: as for ``Sending.send``."""
    return Context(
        provider=route.provider.name,
        model=route.model,
        is_stream=record.is_stream,
        request_id=record.client.request_id,
        session_id=record.client.session_id,
        thinking=wish_from_request(request) if request is not None else None,
    )
