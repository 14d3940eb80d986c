"""The image agent: answers a request whose model gets no images, in as many requests as that takes.

    request without images -> the model calls analyzeImage -> the image model -> the result -> the model …

The client sees one answer, without the calls. All requests to the conversation's own model are one record,
whose counts are added up; each one to the image model has its own (image_analyses.py). What goes out is
decided in protocol/image_*.py. Imported when the first such request comes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ccr.errors import UpstreamError
from ccr.gateway.answers import STREAM_TYPE
from ccr.gateway.image_analyses import whole
from ccr.gateway.image_reply import ImageReply
from ccr.gateway.replies import Reply
from ccr.protocol.image_agent import ImageRule
from ccr.protocol.image_rounds import (
    MAX_CALLS,
    MAX_ROUNDS,
    Iteration,
    JoinedMessage,
    Result,
    Round,
    continued,
    results_as_text,
    round_of,
)
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ccr.gateway.image_analyses import Analyses, Send
    from ccr.gateway.patience import Patience
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.replies import StreamReply
    from ccr.gateway.routes import ImageAgentRoutes, Route
    from ccr.protocol.image_agent import AgentRequest

ENOUGH: Final = f"Images were looked at {MAX_ROUNDS} times for this answer. Go on with what you know."
TOO_MANY: Final = f"Only {MAX_CALLS} calls in one message are answered. Call again for the rest."


@dataclass(frozen=True, slots=True)
class ImageAgent:
    """Answers such requests of one configuration. clock: monotonic seconds."""

    recorder: Recorder
    analyses: Analyses
    patience: Patience
    clock: Callable[[], float]

    async def messages(
        self, given: AgentRequest, route: Route, agent: ImageAgentRoutes, record: Record, send: Send
    ) -> Reply | StreamReply:
        """Answer a Messages request by a route. send: answers one without images. Raises ApiError."""
        first = agent.routes[0]
        record.image_agent = f"{first.provider.name},{first.model}"
        record.note(ImageRule.AGENT)
        rounds = Rounds(self, given, route, agent, record, send)
        reply = await rounds.ask()
        if isinstance(reply, Reply) and not reply.headers["content-type"].startswith(STREAM_TYPE):
            return await self._whole(reply, rounds)
        patience = self.patience.with_provider(route.provider.network.timeouts)
        return ImageReply(reply, rounds, patience=patience, clock=self.clock)

    async def _whole(self, reply: Reply, rounds: Rounds) -> Reply:
        said = round_of(reply.body, rounds.tool)
        if said.next != "done":
            reply = Reply(200, await self._joined(reply.body, said, rounds))
        rounds.record.sent_bytes = len(reply.body)
        self.recorder.end(rounds.record)
        return reply

    async def _joined(self, message: bytes, said: Round, rounds: Rounds) -> bytes:
        joined = JoinedMessage(rounds.tool)
        iterations: list[Iteration] = []
        while True:
            joined.add(message, said)
            iterations.append(Iteration(said.usage))
            if said.next == "cut":
                rounds.record.note(ImageRule.CALL_CUT)
            if said.next in ("cut", "done"):
                return joined.encode(iterations)
            results = await rounds.results(said, iterations)
            if said.next == "as_text":
                joined.add_text(results_as_text(results))
                return joined.encode(iterations)
            message = whole(await rounds.again(said, results), rounds.record).body
            said = round_of(message, rounds.tool)


class Rounds:
    """The requests of one answer. error: why the last one broke off."""

    def __init__(
        self,
        agent: ImageAgent,
        given: AgentRequest,
        route: Route,
        routes: ImageAgentRoutes,
        record: Record,
        send: Send,
    ) -> None:
        self.record = record
        self.tool = given.tool
        self.recorder = agent.recorder
        self.error: BaseException | None = None
        self._analyses = agent.analyses
        self._images = given.images
        self._body = given.body
        self._route = route
        self._image_routes = routes.routes
        self._send = send
        self._left = MAX_ROUNDS

    async def ask(self) -> Reply | StreamReply:
        """Send the request. Raises ApiError."""
        asked = replace(self.record, rules=(), routing_rules=(), when_ended=self._ended)
        try:
            return await self._send(self._body, self._route, asked)
        except BaseException as error:  # a request whose client left leaves its record as well
            self.recorder.end(asked, error)
            raise

    async def again(self, said: Round, results: Sequence[Result]) -> Reply | StreamReply:
        """Go on with an answer after the results of its calls. Raises ApiError."""
        self._body = continued(self._body, said.blocks, results)
        self.record.effort.retries_left = 1
        return await self.ask()

    async def results(self, said: Round, iterations: list[Iteration]) -> list[Result]:
        """Return the results of a round's calls. iterations: get what they cost. Raises ApiError."""
        if said.next == "as_text":
            self.record.note(ImageRule.AS_TEXT)
        self._left -= 1
        if self._left < 0:
            self.record.note(ImageRule.LIMITED)
            if self._left < -1:
                text = f"{self._route.model} keeps calling {self.tool} although it was told that it is enough"
                raise UpstreamError(502, text, should_retry=False)
            return [Result(call, ENOUGH, is_error=True) for call in said.calls]
        calls, others = said.calls[:MAX_CALLS], said.calls[MAX_CALLS:]
        if others:
            self.record.note(ImageRule.LIMITED)
        told = await asyncio.gather(
            *(self._analyses.told(call, self._images, self._image_routes, self.record) for call in calls)
        )
        iterations += [each.cost for each in told if each.cost is not None]
        return [*(each.result for each in told), *(Result(call, TOO_MANY, is_error=True) for call in others)]

    def _ended(self, asked: Record, error: BaseException | None) -> None:
        """Add to the record what one request has told."""
        record = self.record
        if record.is_ended:
            return  # the client has left before this one could be stopped
        self.error = error
        record.is_stream = asked.is_stream
        record.api = asked.api
        record.rules = tuple(dict.fromkeys((*record.rules, *asked.routing_rules, *asked.rules)))
        record.answered_at = record.answered_at or asked.answered_at
        record.events += asked.events
        record.upstream_bytes += asked.upstream_bytes
        record.stop_reason = asked.stop_reason
        if asked.usage is not None:
            record.usage = _sum(record.usage, asked.usage)
            record.last_usage = asked.usage


def _sum(earlier: Usage | None, later: Usage) -> Usage:
    if earlier is None:
        return later
    return Usage(
        earlier.input_tokens + later.input_tokens,
        earlier.output_tokens + later.output_tokens,
        earlier.cache_read_input_tokens + later.cache_read_input_tokens,
        earlier.cache_creation_input_tokens + later.cache_creation_input_tokens,
    )
