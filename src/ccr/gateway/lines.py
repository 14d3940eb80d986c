"""The line of a request: decode, choose a route, then as its format wants convert, transform and send."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ccr.errors import RequestError
from ccr.gateway.bodies import read
from ccr.gateway.chat_line import ChatLine
from ccr.gateway.choosing import untagged
from ccr.gateway.completions_line import CompletionsLine
from ccr.gateway.end_points import EndPointLine
from ccr.gateway.fallback import first_answer, routes_to_try
from ccr.gateway.native import Native, request_of
from ccr.gateway.sending import Sending
from ccr.gateway.transforming import Transforming
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_shape import decode_client_chat_request
from ccr.routing.own_prompt import RULE as PROMPT_REPLACED
from ccr.routing.own_prompt import with_own_prompt
from ccr.routing.untagged import chat_without_tag, messages_without_tag, native_without_tag
from ccr.routing.views import ChatView, MessagesView, NativeView

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Mapping

    from ccr.config.model import SystemPrompt
    from ccr.gateway.chat_reply import ChatReply
    from ccr.gateway.choosing import Choosing
    from ccr.gateway.image_agent import ImageAgent
    from ccr.gateway.lasting import Lasting
    from ccr.gateway.patience import Patience
    from ccr.gateway.payload import Payloads
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import Reply, StreamReply
    from ccr.gateway.responses_line import ResponsesLine
    from ccr.gateway.routes import Found, Route, Routes
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.image_agent import AgentRequest
    from ccr.protocol.native_request import NativeRequest
    from ccr.protocol.openai import ChatRequest
    from ccr.routing.facts import Facts
    from ccr.transformers.remote import RemoteEndPoint
    from ccr.upstream.client import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the lines are made of.

    message_id: makes the ids of messages. clock: monotonic seconds. end_points: routes of plugins, by path.
    system_prompt: in place of the client's own.
    """

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
    end_points: Mapping[str, RemoteEndPoint]
    system_prompt: SystemPrompt | None = None


class Lines:
    """The lines of all requests of one configuration. native_urls: see `Native`."""

    def __init__(self, parts: Parts, native_urls: Collection[tuple[str, str]]) -> None:
        lasting, recorder, patience = parts.lasting, parts.recorder, parts.patience
        self._parts = parts
        self._choosing = parts.choosing
        transforming = Transforming(parts.logger)
        sending = Sending(
            parts.upstream,
            recorder,
            lasting.learning,
            parts.payloads,
            lasting.repairing,
            transforming,
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
        self._end_points = EndPointLine(self._completions, recorder, transforming)
        self._image_agent: ImageAgent | None = None
        self._responses: ResponsesLine | None = None
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
        record.effort.first_event_s = self._parts.patience.begin_s
        if self._parts.system_prompt is not None:
            body = _prompted(body, self._parts.system_prompt, record)
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

        async def without_images(body: bytes, route: Route, record: Record) -> Reply | StreamReply:
            return await self._sent(body, route, record, found, facts)

        async def ask(route: Route) -> Reply | StreamReply:
            nonlocal request
            if found.image_agent is not None and found.image_agent.is_for(route):
                given = without_images_of(body)
                if given is not None:
                    agent = self._image_agent = self._image_agent or self._new_image_agent()
                    return await agent.messages(given, route, found.image_agent, record, without_images)
            if native is not None:
                reply = await self._native.messages(native, body, route, record)
                if reply is not None:
                    return reply
            if request is None:
                request = untagged(decode_messages_request(body), found, facts, messages_without_tag)
            return await self._chat.messages(request, route, record, body)

        return await first_answer(self._routes_to_try(found, record), record, ask)

    async def _sent(
        self,
        body: bytes,
        route: Route,
        record: Record,
        found: Found | None = None,
        facts: Facts | None = None,
    ) -> Reply | StreamReply:
        """Answer the body of a Messages request by a route. found, facts: of the client's own."""
        if self._native.is_anywhere:
            native = request_of(body)
            if found is not None and facts is not None:
                native = untagged(native, found, facts, native_without_tag)
            reply = await self._native.messages(native, body, route, record)
            if reply is not None:
                return reply
        request = decode_messages_request(body)
        if found is not None and facts is not None:
            request = untagged(request, found, facts, messages_without_tag)
        return await self._chat.messages(request, route, record, body)

    def _new_image_agent(self) -> ImageAgent:
        from ccr.gateway.image_agent import ImageAgent
        from ccr.gateway.image_analyses import Analyses

        parts = self._parts
        analyses = Analyses(parts.recorder, parts.upstream, self._sent)
        return ImageAgent(parts.recorder, analyses, parts.patience, parts.clock)

    async def chat_completions(self, body: bytes, record: Record) -> Reply | StreamReply:
        """Answer a chat request. Raises ApiError."""
        record.effort.first_event_s = self._parts.patience.begin_s
        chat, body = read(decode_client_chat_request, body, record)
        found, facts = await self._choosing.find(ChatView(chat, body), body, record)
        chat = untagged(chat, found, facts, chat_without_tag)

        async def ask(route: Route) -> Reply | StreamReply:
            return await self._completions.completions(chat.copy(), route, record, body)

        return await first_answer(self._routes_to_try(found, record), record, ask)

    async def responses(self, body: bytes, record: Record) -> Reply | StreamReply:
        """Answer a request of the Responses API. Raises ApiError."""
        record.effort.first_event_s = self._parts.patience.begin_s
        request, body = self._responses_line().begin(body, record)
        found, facts = await self._choosing.find(request.view, body, record)
        chat = untagged(request.chat, found, facts, chat_without_tag)

        async def ask(route: Route) -> Reply | StreamReply:
            return await request.ask(chat, route)

        return await first_answer(self._routes_to_try(found, record), record, ask)

    async def end_point(self, path: str, body: bytes, record: Record) -> Reply | StreamReply:
        """Answer a request at the route of a plugin's own. Raises ApiError.

        Where a provider speaks the plugin's form, a request for it is not for the plugin to translate: its
        name is looked at first.
        """
        request = self._end_points.begin(self._parts.end_points[path], body, record)
        found: Found | None = None
        chat: ChatRequest | None = None
        if any(map(request.is_alone, self._parts.routes.all)):
            found, _ = await self._choosing.find(ChatView(request.by_name(), body), body, record)
        if found is None or not request.is_alone(found.route):
            given = await request.chat()
            found, facts = await self._choosing.find(ChatView(given, body), body, record)
            chat = untagged(given, found, facts, chat_without_tag)

        async def ask(route: Route) -> Reply | ChatReply:
            return await request.ask(route, chat)

        return await request.returned(await first_answer(self._routes_to_try(found, record), record, ask))

    def _responses_line(self) -> ResponsesLine:
        """Return the line of the Responses API; its modules are loaded when somebody asks for it."""
        if self._responses is None:
            from ccr.gateway.responses_line import ResponsesLine

            parts = self._parts
            self._responses = ResponsesLine(
                self._completions,
                parts.upstream,
                parts.recorder,
                parts.lasting.call_extras,
                last_bytes_s=parts.patience.last_bytes_s,
                natively=self._sent,
            )
        return self._responses

    def _routes_to_try(self, found: Found, record: Record) -> tuple[Route, ...]:
        pool = self._parts.routes.pool_of(found.route)
        session = record.client.session_id or ""
        return routes_to_try(found, pool, load=self._parts.upstream.load, session=session)


def _prompted(body: bytes, prompt: SystemPrompt, record: Record) -> bytes:
    """Return a request with the person's own system prompt, where it has the client's."""
    try:
        changed, read_body = read(lambda data: with_own_prompt(data, prompt.text), body, record)
    except RequestError:
        return body  # whoever decodes the whole of it says what is wrong
    if changed is not read_body:
        record.routing_rules += (PROMPT_REPLACED,)
    return changed


def without_images_of(body: bytes) -> AgentRequest | None:
    """Return a request as the image agent sends it, None where it has no images. Raises RequestError."""
    if b'"image"' not in body:
        return None
    from ccr.protocol.image_agent import agent_request

    return agent_request(body)
