"""The line of a request: decode, choose, convert, transform, send, convert back.

Each public method takes a body and returns a reply, or raises an ApiError; it leaves one record either way.
This module knows neither HTTP libraries nor sockets: what comes in are bytes, what goes out are replies.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from ccr.gateway.chat_line import ChatLine
from ccr.gateway.completions_line import CompletionsLine
from ccr.gateway.lasting import Lasting
from ccr.gateway.models import ModelList
from ccr.gateway.native import Native, request_of
from ccr.gateway.patience import Patience
from ccr.gateway.payload import Payloads
from ccr.gateway.record import Record, Recorder
from ccr.gateway.replies import Client, Reply, StreamReply
from ccr.gateway.sending import Sending
from ccr.gateway.transforming import Transforming
from ccr.protocol.anthropic import decode_count_request, decode_messages_request
from ccr.protocol.openai import decode_chat_request

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config
    from ccr.gateway.models import ModelsDialect
    from ccr.gateway.routes import Route, Routes
    from ccr.upstream.client import Upstream


def new_message_id() -> str:
    """Return an id that was never given before: the client merges turns whose messages have the same one."""
    return f"msg_{secrets.token_hex(12)}"


class Gateway:
    """Answers the requests of all clients by one configuration (routes: made from the same).

    message_id: makes the ids of messages. clock: monotonic seconds. lasting: of the gateway before this one.
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
        lasting: Lasting | None = None,
    ) -> None:
        lasting = lasting or Lasting.new(clock)
        self.metrics = lasting.metrics
        self.repairing = lasting.repairing
        self._routes = routes
        self._upstream = upstream
        self._recorder = Recorder(self.metrics, logger, clock=clock)
        self._patience = patience or Patience()
        self._learning = lasting.learning
        self._payloads = payloads or Payloads(logger=logger)
        sending = Sending(
            upstream, self._recorder, self._learning, self._payloads, self.repairing, Transforming(logger)
        )
        self._chat = ChatLine(
            sending,
            upstream,
            self._recorder,
            self._learning,
            patience=self._patience,
            message_id=message_id,
            clock=clock,
        )
        self._completions = CompletionsLine(sending, upstream, self._recorder, patience=self._patience)
        self._native = Native(
            routes.messages_urls,
            upstream,
            self._recorder,
            self._learning,
            self._payloads,
            self.repairing,
            logger=logger,
            patience=self._patience,
            clock=clock,
        )
        self._models = ModelList(config)

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

    def models(self, dialect: ModelsDialect, query: Mapping[str, str]) -> Reply:
        """Answer ``GET /v1/models``."""
        return Reply(200, self._models.answer(dialect, query))

    def model(self, dialect: ModelsDialect, name: str) -> Reply:
        """Answer ``GET /v1/models/{id}``."""
        return Reply(200, self._models.one(dialect, name))

    def status(self) -> dict[str, Any]:
        """Return what ``GET /status`` says: counters since the start, repairs needed, who we are."""
        return {
            **self.metrics.snapshot(),
            "repairs": self.repairing.snapshot(),
            "identities": self._upstream.identities(),
        }

    # -- the lines -------------------------------------------------------------------------------------

    async def _messages(self, body: bytes, record: Record) -> Reply | StreamReply:
        if self._native.is_anywhere:
            native = request_of(body)
            reply = await self._native.messages(native, body, self._find(native.model, record), record)
            if reply is not None:
                return reply
        request = decode_messages_request(body)
        return await self._chat.messages(request, self._find(request.model, record), record)

    async def _chat_completions(self, body: bytes, record: Record) -> Reply | StreamReply:
        chat = decode_chat_request(body)
        return await self._completions.completions(chat, self._find(chat["model"], record), record)

    def _find(self, model: str, record: Record) -> Route:
        record.model = model
        route, record.rule = self._routes.find(model)
        record.provider = route.provider.name
        record.upstream_model = route.model
        return route
