"""Requests that go to a provider in the Messages API's own format: sanitised, sent, relayed.

With ``"api": "auto"`` the first request finds out whether the workspace has this route: if it answers that
it has not, that is remembered while the process lives, and the caller sends the request in the other format.
Any other refusal is an answer. docs/native-route.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccr.errors import RequestError, UpstreamError
from ccr.gateway.answers import JSON_TYPE, STREAM_TYPE, StreamEnds, stream_not_asked_for, whole_body
from ccr.gateway.message_reply import MessageReply
from ccr.gateway.recovery import recovery_for
from ccr.gateway.refusal import is_refusal, refusal_body, refusal_from_answer
from ccr.gateway.replies import Reply
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.error_bodies import error_body
from ccr.protocol.native_message import tap_message
from ccr.protocol.native_relay import relayed_request
from ccr.protocol.native_repairs import NativeSent
from ccr.protocol.native_request import beta_header, request_from_json, sanitized
from ccr.protocol.native_stream import NativeTap
from ccr.protocol.recovery import continued_messages, takes_prefill
from ccr.protocol.redaction import redacted
from ccr.upstream.urls import is_relayed

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection

    from ccr.gateway.learning import Learning
    from ccr.gateway.patience import Patience
    from ccr.gateway.payload import Payloads
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.recovery import Recovery
    from ccr.gateway.repairing import Repairing
    from ccr.gateway.replies import Client, StreamReply
    from ccr.gateway.routes import Route
    from ccr.protocol.native_request import NativeRequest
    from ccr.upstream.answer import Answer
    from ccr.upstream.client import Upstream

ANTHROPIC_VERSION: Final = "2023-06-01"
CODING_AGENT_HEADER: Final = "x-databricks-use-coding-agent-mode"
MAX_SAID_CHARS: Final = 300

_NO_ROUTE: Final = re.compile(
    r"unsupported native api path|path must be of form|no api found|api passthrough is not supported",
    re.IGNORECASE,
)
_NO_METHOD: Final = frozenset({405, 501})


class Native:
    """The native route of all providers. urls: providers' names and where they may have one."""

    def __init__(
        self,
        urls: Collection[tuple[str, str]],
        upstream: Upstream,
        recorder: Recorder,
        learning: Learning,
        payloads: Payloads,
        repairing: Repairing,
        *,
        logger: logging.Logger,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._learning = learning
        self._payloads = payloads
        self._repairing = repairing
        self._logger = logger
        self._patience = patience
        self._clock = clock
        self._ends = StreamEnds(upstream, recorder, learning)
        self._there = set(urls)

    @property
    def is_anywhere(self) -> bool:
        """Whether there is any native route, as far as is known."""
        return bool(self._there)

    @property
    def urls(self) -> frozenset[tuple[str, str]]:
        """Providers' names and where each may have a native route, as far as is known."""
        return frozenset(self._there)

    async def messages(
        self, request: NativeRequest, body: bytes, route: Route, record: Record
    ) -> Reply | StreamReply | None:
        """Answer a Messages request (body: its bytes); None when it has to go in the other format."""
        url = route.messages_url
        if url is None or (route.provider.name, url) not in self._there:
            return None
        is_relay = is_relayed(route.provider)
        sent = (
            relayed_request(body, model=route.model)
            if is_relay
            else sanitized(request, model=route.model, traits=route.traits)
        )
        record.api = "anthropic"
        record.rules = sent.rules
        record.is_stream = sent.stream
        data = await self._payloads.native(sent, route, record, body)
        answer_of = self._relayed_answer if is_relay else self._answer
        answer = await answer_of(data, url, body, route, record)
        if answer is None:
            record.api = ""
            return None
        if sent.stream and answer.content_type != JSON_TYPE:

            async def rest(text: str) -> tuple[Answer, NativeTap]:
                more = continued_messages(data, text, is_prefill=takes_prefill(route.traits))
                answer = await answer_of(more, url, body, route, record)
                if answer is None:
                    raise UpstreamError(502, f"{record.provider} has no such route any more")
                return answer, self._tap(record)

            reply = self._stream(answer, body, route, record, recovery_for(route, record, rest))
            await reply.begin()
            return reply
        return await self._message(answer, body, route, record)

    async def _relayed_answer(
        self, data: bytes, url: str, client_body: bytes, route: Route, record: Record
    ) -> Answer:
        """Return the answer to a request that is passed on as it is: nothing is repaired."""
        answer = await self._upstream.open(
            route.provider,
            url,
            data,
            relay_headers(record.client),
            stream=record.is_stream,
            user_token=record.client.user_token,
            model=route.model,
            effort=record.effort,
        )
        self._recorder.answered(record)
        if is_refusal(answer):
            said = await refusal_body(answer)
            raise self._refusal(answer, said, client_body, route)
        return answer

    async def _answer(
        self, data: bytes, url: str, client_body: bytes, route: Route, record: Record
    ) -> Answer | None:
        """Return an answer that looks like a model's; None when there is no such route.

        A request that is refused for something that can be repaired is repaired and sent again.
        """
        name = f"{route.provider.name},{route.model}"
        attempt = self._repairing.begin_native(name, NativeSent(data, beta_header(record.client.betas)))
        try:
            while True:
                answer = await self._upstream.open(
                    route.provider,
                    url,
                    attempt.request.data,
                    native_headers(attempt.request.betas),
                    stream=record.is_stream,
                    user_token=record.client.user_token,
                    model=route.model,
                    effort=record.effort,
                )
                self._recorder.answered(record)
                if not is_refusal(answer):
                    attempt.accept()
                    return answer
                said = await refusal_body(answer)
                if route.provider.api == "auto" and is_no_route(answer.status, said):
                    self._remember(route, url, answer.status, said)
                    return None
                if not attempt.repair(answer.status, said):
                    raise self._refusal(answer, said, client_body, route)
        finally:
            record.rules += attempt.rules

    def _refusal(self, answer: Answer, said: bytes, client_body: bytes, route: Route) -> UpstreamError:
        estimated = self._learning.estimate_of(client_body, route)
        masked = self._upstream.sent.masked
        return refusal_from_answer(answer, said, route, estimated_tokens=estimated, masked=masked)

    def _stream(
        self, answer: Answer, body: bytes, route: Route, record: Record, recovery: Recovery | None
    ) -> MessageReply:
        return MessageReply(
            answer,
            self._tap(record),
            provider=route.provider.name,
            patience=self._patience_with(route),
            clock=self._clock,
            on_end=self._ends.of(record, route, self._learning.sample_of(body, route)),
            recovery=recovery,
        )

    async def _message(self, answer: Answer, body: bytes, route: Route, record: Record) -> Reply:
        if answer.content_type == STREAM_TYPE:
            answer.close()
            raise stream_not_asked_for(record)
        data = await whole_body(answer, record, idle_s=self._patience_with(route).whole_s)
        message = tap_message(
            data, model=record.model, provider=record.provider, masked=self._upstream.sent.masked
        )
        if record.is_stream:
            text = f"{record.provider} answered with a whole message although a stream was asked for"
            raise UpstreamError(502, text, should_retry=False)
        record.rules += message.rules
        record.usage = message.usage
        record.stop_reason = message.stop_reason
        record.sent_bytes = len(message.body)
        self._learning.learn(route, self._learning.sample_of(body, route), message.usage)
        self._recorder.end(record)
        return Reply(200, message.body)

    def _tap(self, record: Record) -> NativeTap:
        return NativeTap(model=record.model, provider=record.provider, masked=self._upstream.sent.masked)

    def _patience_with(self, route: Route) -> Patience:
        return self._patience.with_provider(route.provider.network.timeouts)

    def _remember(self, route: Route, url: str, status: int, said: bytes) -> None:
        provider = route.provider.name
        if (provider, url) not in self._there:
            return  # another request has found it out at the same time
        self._there.remove((provider, url))
        text = redacted(self._upstream.sent.masked(error_body(said).message))[:MAX_SAID_CHARS]
        self._logger.info(
            "no native Anthropic route: requests are translated to chat",
            extra={"fields": {"provider": provider, "url": url, "status": status, "said": text}},
        )


def request_of(body: bytes) -> NativeRequest:
    """Return the request in a body. Raises RequestError (400) as the other format's decoding would."""
    try:
        return request_from_json(body)
    except RequestError:
        decode_messages_request(body)  # both find a fault; the client is told one in the same words
        raise


def native_headers(betas: str | None) -> dict[str, str]:
    """Return the headers of a request. betas: its ``anthropic-beta``, None for none."""
    headers = {"anthropic-version": ANTHROPIC_VERSION, CODING_AGENT_HEADER: "true"}
    return headers if betas is None else {**headers, "anthropic-beta": betas}


def relay_headers(client: Client) -> dict[str, str]:
    """Return the headers of a request that is passed on: the client's own version and betas."""
    headers = {"anthropic-version": client.version or ANTHROPIC_VERSION}
    return headers if client.betas is None else {**headers, "anthropic-beta": client.betas}


def is_no_route(status: int, body: bytes) -> bool:
    """Tell whether a refusal means that the workspace has no such route.

    Not: that it has no such model, that the caller may not use it, or that the request is wrong.
    """
    if status in _NO_METHOD:
        return True
    if status not in {400, 404}:
        return False
    said = error_body(body)
    if status == 404 and (said.is_page or not said.message):
        return True
    return _NO_ROUTE.search(said.message) is not None
