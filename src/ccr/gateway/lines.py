"""The line of a request: decode, choose a route, then as its format wants convert, transform and send."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ccr.gateway.bodies import read
from ccr.gateway.chat_line import ChatLine
from ccr.gateway.choosing import untagged
from ccr.gateway.completions_line import CompletionsLine
from ccr.gateway.fallback import first_answer, routes_to_try
from ccr.gateway.native import Native, request_of
from ccr.gateway.sending import Sending
from ccr.gateway.transforming import Transforming
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.openai import decode_chat_request
from ccr.routing.untagged import chat_without_tag, messages_without_tag, native_without_tag
from ccr.routing.views import ChatView, MessagesView, NativeView

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection

    from ccr.gateway.choosing import Choosing
    from ccr.gateway.lasting import Lasting
    from ccr.gateway.patience import Patience
    from ccr.gateway.payload import Payloads
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import Reply, StreamReply
    from ccr.gateway.routes import Found, Route, Routes
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.native_request import NativeRequest
    from ccr.upstream.client import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the lines are made of. message_id: makes the ids of messages. clock: monotonic seconds."""

    choosing: Choosing
    routes: Routes
    upstream: Upstream
    recorder: Recorder
    lasting: Lasting
    payloads: Payloads
    patience: Patience
    logger: logging.Logger
    message_id: Callable[[], str]
    clock: Callable[[], float]


class Lines:
    """The lines of all requests of one configuration. native_urls: see `Native`."""

    def __init__(self, parts: Parts, native_urls: Collection[tuple[str, str]]) -> None:
        lasting, recorder, patience = parts.lasting, parts.recorder, parts.patience
        self._parts = parts
        self._choosing = parts.choosing
        sending = Sending(
            parts.upstream,
            recorder,
            lasting.learning,
            parts.payloads,
            lasting.repairing,
            Transforming(parts.logger),
        )
        self._chat = ChatLine(
            sending,
            parts.upstream,
            recorder,
            lasting.learning,
            lasting.call_extras,
            patience=patience,
            message_id=parts.message_id,
            clock=parts.clock,
        )
        self._completions = CompletionsLine(sending, parts.upstream, recorder, patience=patience)
        self._native = Native(
            native_urls,
            parts.upstream,
            recorder,
            lasting.learning,
            parts.payloads,
            lasting.repairing,
            logger=parts.logger,
            patience=patience,
            clock=parts.clock,
        )

    def beside(self, upstream: Upstream, recorder: Recorder) -> Lines:
        """Return lines that know what these know, to another upstream. Nothing they do is counted here."""
        lasting = replace(self._parts.lasting, repairing=self._parts.lasting.repairing.uncounted())
        parts = replace(self._parts, upstream=upstream, recorder=recorder, lasting=lasting)
        return Lines(parts, self._native.urls)

    async def messages(self, body: bytes, record: Record) -> Reply | StreamReply:
        """Answer a Messages request. Raises ApiError."""
        native: NativeRequest | None = None
        request: MessagesRequest | None = None
        if self._native.is_anywhere:
            asked, body = read(request_of, body, record)
            found, facts = await self._choosing.find(NativeView(asked), body, record)
            native = untagged(asked, found, facts, native_without_tag)
        else:
            given, body = read(decode_messages_request, body, record)
            found, facts = await self._choosing.find(MessagesView(given), body, record)
            request = untagged(given, found, facts, messages_without_tag)

        async def ask(route: Route) -> Reply | StreamReply:
            nonlocal request
            if native is not None:
                reply = await self._native.messages(native, body, route, record)
                if reply is not None:
                    return reply
            if request is None:
                request = untagged(decode_messages_request(body), found, facts, messages_without_tag)
            return await self._chat.messages(request, route, record, body)

        return await first_answer(self._routes_to_try(found, record), record, ask)

    async def chat_completions(self, body: bytes, record: Record) -> Reply | StreamReply:
        """Answer a chat request. Raises ApiError."""
        chat, body = read(decode_chat_request, body, record)
        found, facts = await self._choosing.find(ChatView(chat, body), body, record)
        chat = untagged(chat, found, facts, chat_without_tag)

        async def ask(route: Route) -> Reply | StreamReply:
            return await self._completions.completions(chat.copy(), route, record, body)

        return await first_answer(self._routes_to_try(found, record), record, ask)

    def _routes_to_try(self, found: Found, record: Record) -> tuple[Route, ...]:
        pool = self._parts.routes.pool_of(found.route)
        session = record.client.session_id or ""
        return routes_to_try(found, pool, load=self._parts.upstream.load, session=session)
