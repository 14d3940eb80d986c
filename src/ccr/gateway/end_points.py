"""Requests in a form of a plugin's own, at the route it asks for (``endPoint``).

    request    -> transformRequestOut -> routing -> the chat line, as for /v1/chat/completions
    answer     <- transformResponseIn <-

A provider whose only step is the same plugin speaks the plugin's form itself: requests pass to it as they
are, with another model name and what the plugin's ``auth`` adds, and its answers come back as they are. The
npm router does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from ccr.errors import RequestError, TransformerError
from ccr.gateway.end_point_reply import EndPointReply
from ccr.gateway.replies import Reply
from ccr.gateway.sending import asked_by
from ccr.protocol.native_json import OBJECT, STRING, decoded
from ccr.protocol.openai import decode_chat_request
from ccr.transformers.base import Context, Target
from ccr.transformers.steps import checked_target

if TYPE_CHECKING:
    from ccr.gateway.chat_reply import ChatReply
    from ccr.gateway.completions_line import CompletionsLine
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import Route
    from ccr.gateway.transforming import Transforming
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.remote import HookedRequest, RemoteEndPoint

HERE: Final = "http://127.0.0.1"
"""Stands for the URL of a route that is not chosen yet."""


class EndPointLine:
    """What requests at the routes of plugins are answered with."""

    def __init__(self, completions: CompletionsLine, recorder: Recorder, transforming: Transforming) -> None:
        self.completions = completions
        self.recorder = recorder
        self.transforming = transforming

    def begin(self, end_point: RemoteEndPoint, body: bytes, record: Record) -> EndPointRequest:
        """Return a request that begins. Raises RequestError (400) when its body is no JSON object."""
        return EndPointRequest(self, end_point, body, record)


class EndPointRequest:
    """One request at the route of a plugin's own."""

    def __init__(self, line: EndPointLine, end_point: RemoteEndPoint, body: bytes, record: Record) -> None:
        self._line = line
        self._end_point = end_point
        self._body = body
        self._record = record
        self._given = decoded(OBJECT, body)
        self._wants_stream = bytes(self._given.get("stream", b"")) == b"true"
        record.is_stream = self._wants_stream
        self._chat: ChatRequest | None = None
        self._first: HookedRequest | None = None
        self._is_passed = False

    async def chat(self) -> ChatRequest:
        """Return the request in the chat format; the plugin is asked once. Raises ApiError.

        What the plugin names no model in is for the one that the client names.
        """
        if self._chat is None:
            context = self._context()
            asked = asked_by(self._record, self._body)
            try:
                self._first = await self._end_point.request(self._body, context, asked)
                checked_target(Target(self._first.url or HERE, self._first.headers), self._end_point.name)
            except TransformerError as error:
                self._line.transforming.failed(error, context)
                raise
            self._chat = self._decoded(self._first.body)
        return self._chat

    def by_name(self) -> ChatRequest:
        """Return what routing may go by before the plugin is asked: the model alone."""
        return cast("ChatRequest", {"model": self._model(), "messages": []})

    def is_alone(self, route: Route) -> bool:
        """Tell whether a route's provider speaks the form of the request itself."""
        return self._end_point.is_alone(route.provider, route.model)

    async def ask(self, route: Route, chat: ChatRequest | None) -> Reply | ChatReply:
        """Ask a route. chat: the request, where it is in the chat format by now. Raises ApiError."""
        completions, record = self._line.completions, self._record
        self._is_passed = self.is_alone(route)
        if self._is_passed:
            data = msgspec.json.encode({**self._given, "model": route.model})
            return await completions.passed(data, route, record, self._body, is_stream=self._wants_stream)
        chat = await self.chat() if chat is None else chat
        return await completions.answer(chat.copy(), route, record, self._body, self._first)

    async def returned(self, inner: Reply | ChatReply) -> Reply | StreamReply:
        """Return an answer in the client's form. Raises ApiError."""
        reply: Reply | StreamReply = inner
        if not self._is_passed:
            reply = await self._changed(inner)
        if isinstance(inner, Reply) and isinstance(reply, Reply):
            self._record.sent_bytes = len(reply.body)
            self._line.recorder.end(self._record)
        return reply

    async def _changed(self, inner: Reply | ChatReply) -> Reply | StreamReply:
        context = self._context()
        asked = asked_by(self._record, self._body)
        try:
            changed = await EndPointReply.through(inner, self._end_point, context, asked)
            self._record.status = changed.status
            if changed.is_stream(wanted=self._wants_stream):
                return changed
            try:
                return await changed.whole()
            finally:
                changed.close()
        except TransformerError as error:
            self._line.transforming.failed(error, context)
            raise

    def _decoded(self, data: bytes) -> ChatRequest:
        body = decoded(OBJECT, data)
        if "model" not in body:
            body["model"] = msgspec.Raw(msgspec.json.encode(self._model()))
            data = msgspec.json.encode(body)
        try:
            return decode_chat_request(data)
        except RequestError as error:
            name = self._end_point.name
            message = f"{error.message} (in the chat request that the transformer {name} made of this one)"
            raise RequestError(message) from error

    def _model(self) -> str:
        if "model" not in self._given:
            raise RequestError("model: Field required")
        return decoded(STRING, self._given["model"], "model")

    def _context(self) -> Context:
        """Return what is known of the request; provider and model once a route has answered it."""
        record = self._record
        return Context(
            provider=record.provider,
            model=record.upstream_model,
            is_stream=self._wants_stream,
            request_id=record.client.request_id,
            session_id=record.client.session_id,
        )
