"""Sending a chat request: its transformers, its size, the upstream, and what a refusal makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.errors import UpstreamError
from ccr.gateway.record import PATHS
from ccr.gateway.refusal import is_refusal, refusal_body, refusal_from_answer
from ccr.protocol.thinking_wish import wish_from_request
from ccr.transformers.base import Context
from ccr.transformers.remote import Asked

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.learning import Learning
    from ccr.gateway.payload import Payloads
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.repairing import Repairing
    from ccr.gateway.routes import Route
    from ccr.gateway.transforming import Outgoing, Transforming
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.remote import HookedRequest
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
        transforming: Transforming,
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._learning = learning
        self._payloads = payloads
        self._repairing = repairing
        self._transforming = transforming

    async def send(
        self,
        route: Route,
        chat: ChatRequest,
        record: Record,
        request: MessagesRequest | None,
        body: bytes,
        first: HookedRequest | None = None,
    ) -> Incoming:
        """Send the request after its transformers; return an answer that looks like a model's, after them.

        A request that is refused for something that can be repaired is repaired and sent again.
        request: what the client asked, None when it asked in this format; body: its bytes. first: what the
        end point of a transformer has made of it. Raises ApiError.
        """
        context = context_of(route, record, request)
        outgoing = await self._transforming.request(
            chat,
            route,
            context,
            lambda: self._asked(route, record, body),
            first=first,
            is_converted=request is not None,
        )
        record.rules = tuple(rule for rule in record.rules if rule not in outgoing.undone) + outgoing.rules
        answer: Incoming
        if outgoing.chat is None:
            answer = await self._open(outgoing.body, route, outgoing, record)
            if is_refusal(answer):
                raise await self._refusal(answer, route, request)
        else:
            answer = await self._send_chat(outgoing.chat, route, outgoing, record, request)
        changed = await self._transforming.answer(answer, route, context, outgoing, record)
        if changed is not answer and is_refusal(changed):
            raise await self._refusal(changed, route, request)
        return changed

    async def pass_on(self, route: Route, data: bytes, record: Record, body: bytes) -> Answer:
        """Send a request as it is to a provider that speaks its form; return an answer that is no refusal.

        data: the request; body: as it came. The route's only transformer adds what its ``auth`` says. Raises
        ApiError.
        """
        context = context_of(route, record)
        asked = await self._asked(route, record, body)
        outgoing = await self._transforming.authorized(data, route, context, asked)
        record.rules += outgoing.rules
        answer = await self._open(outgoing.body, route, outgoing, record)
        if is_refusal(answer):
            raise await self._refusal(answer, route, None)
        return answer

    async def _asked(self, route: Route, record: Record, body: bytes) -> Asked:
        token = await self._upstream.token_of(route.provider, record.client.user_token)
        return asked_by(record, body)._replace(key=token)

    async def _send_chat(
        self,
        chat: ChatRequest,
        route: Route,
        outgoing: Outgoing,
        record: Record,
        request: MessagesRequest | None,
    ) -> Answer:
        chat = await self._payloads.chat(chat, route, record)
        attempt = self._repairing.begin(f"{route.provider.name},{route.model}", chat)
        try:
            while True:
                attempt.request, body = await self._payloads.fitted_chat(
                    attempt.request, route, record, request
                )
                answer = await self._open(body, route, outgoing, record)
                if not is_refusal(answer):
                    attempt.accept()
                    return answer
                said = await refusal_body(answer)
                if not attempt.repair(answer.status, said):
                    raise self._refusal_from(answer, said, route, request)
        finally:
            record.rules += attempt.rules

    async def _open(self, body: bytes, route: Route, outgoing: Outgoing, record: Record) -> Answer:
        opening = self._upstream.open(
            route.provider,
            outgoing.url,
            body,
            outgoing.headers,
            stream=record.is_stream,
            user_token=record.client.user_token,
            model=route.model,
            effort=record.effort,
        )
        answer = await (opening if outgoing.timeout_s is None else _within(outgoing.timeout_s, opening))
        self._recorder.answered(record)
        return answer

    async def _refusal(
        self, answer: Incoming, route: Route, request: MessagesRequest | None
    ) -> UpstreamError:
        return self._refusal_from(answer, await refusal_body(answer), route, request)

    def _refusal_from(
        self, answer: Incoming, said: bytes, route: Route, request: MessagesRequest | None
    ) -> UpstreamError:
        estimated = self._learning.estimate(request, route) if request is not None else None
        masked = self._upstream.sent.masked
        return refusal_from_answer(answer, said, route, estimated_tokens=estimated, masked=masked)


def context_of(route: Route, record: Record, request: MessagesRequest | None = None) -> Context:
    """Return what the transformers of a request may know about it; request: as for ``Sending.send``."""
    return Context(
        provider=route.provider.name,
        model=route.model,
        is_stream=record.is_stream,
        request_id=record.client.request_id,
        session_id=record.client.session_id,
        thinking=wish_from_request(request) if request is not None else None,
        is_converted=request is not None,
        noted=record.note,
    )


def asked_by(record: Record, body: bytes) -> Asked:
    """Return what the client asked, as transformers outside this process see it."""
    return Asked(
        body,
        record.client.shown_headers(),
        record.path,
        is_at_end_point=record.route not in PATHS,
    )


async def _within(timeout_s: float, opening: Awaitable[Answer]) -> Answer:
    """Return the answer. Raises UpstreamError (504) when it takes longer than a transformer allows."""
    try:
        async with asyncio.timeout(timeout_s):
            return await opening
    except TimeoutError as error:
        raise UpstreamError(504, f"no answer within the {timeout_s:.0f} s a transformer allows") from error
