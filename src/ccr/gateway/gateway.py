"""What clients may ask for, and what answers them (lines.py has the line of a request).

Each public method takes a body and returns a reply, or raises an ApiError; it leaves one record either way.
This module knows neither HTTP libraries nor sockets: what comes in are bytes, what goes out are replies.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ccr.gateway.bodies import read
from ccr.gateway.choosing import Choosing
from ccr.gateway.explain import Explaining
from ccr.gateway.lasting import Lasting
from ccr.gateway.lines import Lines, Parts
from ccr.gateway.models import ModelList
from ccr.gateway.patience import Patience
from ccr.gateway.payload import Payloads
from ccr.gateway.record import Recorder
from ccr.gateway.replies import Client, Reply, StreamReply
from ccr.protocol.anthropic import decode_count_request

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.config.model import Config
    from ccr.gateway.counting import Counting
    from ccr.gateway.custom_router import JavaScriptHost
    from ccr.gateway.models import ModelsDialect
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Routes
    from ccr.gateway.speed import SpeedOutputs
    from ccr.transformers.remote import RemoteEndPoint
    from ccr.upstream.client import Upstream


def new_message_id() -> str:
    """Return an id that was never given before: the client merges turns whose messages have the same one."""
    return f"msg_{secrets.token_hex(12)}"


class Gateway:
    """Answers the requests of all clients by one configuration (routes: made from the same).

    message_id: makes the ids of messages. clock: monotonic seconds. lasting: of the gateway before this one.
    javascript: where a custom router in JavaScript runs. end_points: the routes of plugins, by their paths.
    speed: where the speed of answers goes. counting: the tokenizers of providers.
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
        javascript: JavaScriptHost | None = None,
        end_points: Mapping[str, RemoteEndPoint] | None = None,
        speed: SpeedOutputs | None = None,
        counting: Counting | None = None,
    ) -> None:
        lasting = lasting or Lasting.new(clock)
        self.metrics = lasting.metrics
        self.repairing = lasting.repairing
        self._routes = routes
        self._upstream = upstream
        self._recorder = Recorder(
            self.metrics,
            logger,
            clock=clock,
            sessions=lasting.sessions,
            masked=upstream.sent.masked,
            on_end=speed.note if speed is not None else None,
            keep=lasting.keep if config.usage.is_kept else None,
        )
        self._learning = lasting.learning
        self._counting = counting
        parts = Parts(
            choosing=Choosing(
                config, routes, lasting, logger, clock=clock, javascript=javascript, counting=counting
            ),
            routes=routes,
            upstream=upstream,
            recorder=self._recorder,
            lasting=lasting,
            payloads=payloads or Payloads(logger=logger),
            patience=patience or Patience(first_byte_s=config.api_timeout_s),
            logger=logger,
            message_id=message_id,
            clock=clock,
            end_points=end_points or {},
            system_prompt=config.system_prompt,
        )
        self._lines = Lines(parts, routes.messages_urls)
        self.explaining = Explaining(self._lines, config)
        self._models = ModelList(config)

    # -- what the front calls --------------------------------------------------------------------------

    async def messages(self, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer ``POST /v1/messages``."""
        return await self._recorded(client, "messages", body, self._lines.messages)

    async def chat_completions(self, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer ``POST /v1/chat/completions``."""
        return await self._recorded(client, "chat_completions", body, self._lines.chat_completions)

    async def responses(self, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer ``POST /v1/responses``."""
        return await self._recorded(client, "responses", body, self._lines.responses)

    async def end_point(self, path: str, body: bytes, client: Client) -> Reply | StreamReply:
        """Answer a request at the route of a plugin's own."""
        return await self._recorded(client, path, body, partial(self._lines.end_point, path))

    async def _recorded(
        self,
        client: Client,
        route: str,
        body: bytes,
        answered: Callable[[bytes, Record], Awaitable[Reply | StreamReply]],
    ) -> Reply | StreamReply:
        record = self._recorder.begin(client, route, body)
        try:
            return await answered(body, record)
        except BaseException as error:  # a cancelled request leaves its record as well
            self._recorder.end(record, error)
            raise

    async def count_tokens(self, body: bytes) -> Reply:
        """Answer ``POST /v1/messages/count_tokens`` by the provider's tokenizer, else from an estimate."""
        request, body = read(decode_count_request, body)
        route = self._routes.find(request.model).route
        counted = None
        if self._counting is not None:
            counted = await self._counting.count(route.provider.name, route.model, body)
        if counted is None:
            counted = self._learning.estimate(request, route)
        return Reply(200, b'{"input_tokens":%d}' % counted)

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
            "tasks": len(asyncio.all_tasks()),
            "repairs": self.repairing.snapshot(),
            "upstream": self._upstream.snapshot(),
            "identities": self._upstream.identities(),
        }
