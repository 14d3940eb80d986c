"""The one record a request leaves: ids, sizes, route and rule, tokens, times. Never a body or a secret.

A request may succeed, fail, or be left by its client; each leaves exactly one record, written when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from ccr.errors import ApiError
from ccr.gateway.kept import row_of
from ccr.upstream.retry import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.metrics import Metrics
    from ccr.gateway.replies import Client
    from ccr.gateway.routes import Found
    from ccr.gateway.sessions import Sessions
    from ccr.protocol.usage import Usage
    from ccr.store.records import RequestRow

IMAGE_AGENT: Final = "image_agent"
"""Route and rule of the requests that ccr itself sends to the image model, for another request."""
PATHS: Final = {
    "messages": "/v1/messages",
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    IMAGE_AGENT: "/v1/messages",
}
"""Where requests of a route come in; those of a plugin's route are called by their path."""
BY_NAME: Final = frozenset({"model", "same_model", "family", "default"})
"""Rules of the model's name alone: the last ones, for which all others were looked at."""

Outcome = Literal["ok", "error", "cancelled"]

CLIENT_GONE = 499
"""Status written for a request whose client left before it was answered (nginx's number for it)."""


@dataclass(slots=True)
class Record:
    """What is known of a request so far. Times are monotonic seconds; sizes are bytes of bodies.

    found: the route and how it was chosen. routing_rules: what was changed in the request before it was
    sent anywhere. api: ``anthropic`` when the upstream was asked in the Messages API's own format, else "".
    effort: how often it was sent, and what failed. is_fallback: another route than the first was asked.
    image_agent: the image model's name where the image agent was at work, else "". last_usage: of the last
    request, where the answer took several. is_aside: it is no turn of its session. when_ended: told of its
    end in place of log and counters: it is one of several requests for one record.
    """

    client: Client
    route: str
    started_at: float
    body_bytes: int
    model: str = ""
    provider: str = ""
    upstream_model: str = ""
    rule: str = ""
    found: Found | None = None
    routing_rules: tuple[str, ...] = ()
    api: str = ""
    is_stream: bool = False
    rules: tuple[str, ...] = ()
    sent_bytes: int = 0
    upstream_bytes: int = 0
    events: int = 0
    answered_at: float | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    status: int = 200
    outcome: Outcome = "ok"
    error_type: str | None = None
    error: str | None = None
    effort: Effort = field(default_factory=Effort)
    is_fallback: bool = False
    is_ended: bool = False
    image_agent: str = ""
    last_usage: Usage | None = None
    is_aside: bool = False
    when_ended: Callable[[Record, BaseException | None], None] | None = None

    @property
    def path(self) -> str:
        """Where the request came in."""
        return PATHS.get(self.route, self.route)

    def note(self, rule: str) -> None:
        """Note a rule by which something was dropped or mended, once."""
        if rule not in self.rules:
            self.rules += (rule,)

    def begin_route(self, provider: str, model: str) -> None:
        """Note that the request goes another way from here; what the one before has done does not count."""
        self.is_fallback = bool(self.effort.failures)
        self.provider = provider
        self.upstream_model = model
        self.rules = ()
        self.api = ""
        self.image_agent = ""
        self.last_usage = None
        self.answered_at = None
        self.upstream_bytes = 0
        self.usage = None
        self.stop_reason = None

    def fields(self, now: float, *, is_detailed: bool = True) -> dict[str, Any]:
        """Return the record as it is logged.

        is_detailed: with the rules that were looked at, which say little where the name alone decided.
        """
        has_tried = self.found is not None and (is_detailed or self.found.rule not in BY_NAME)
        fields: dict[str, Any] = {
            "request_id": self.client.request_id,
            "session_id": self.client.session_id,
            "agent": self.client.agent,
            "route": self.route,
            "model": self.model,
            "provider": self.provider,
            "upstream_model": self.upstream_model,
            "rule": self.rule,
            "router": self.found.router if self.found is not None else "",
            "tried": [tried.rule for tried in self.found.tried] if self.found and has_tried else [],
            "api": self.api,
            "image_agent": self.image_agent,
            "stream": self.is_stream,
            "outcome": self.outcome,
            "status": self.status,
            "stop_reason": self.stop_reason,
            "error_type": self.error_type,
            "error": self.error,
            "rules": list(self.rules),
            "fallback": self.is_fallback or None,
            "failed": self.effort.failures,
            "retries": self.effort.retries or None,
            "body_bytes": self.body_bytes,
            "upstream_bytes": self.upstream_bytes,
            "sent_bytes": self.sent_bytes,
            "events": self.events,
            "ms": _ms(now - self.started_at),
        }
        if self.answered_at is not None:
            fields["first_byte_ms"] = _ms(self.answered_at - self.started_at)
        if self.usage is not None:
            fields["input_tokens"] = self.usage.input_tokens
            fields["output_tokens"] = self.usage.output_tokens
            fields["cache_read_input_tokens"] = self.usage.cache_read_input_tokens
            fields["cache_creation_input_tokens"] = self.usage.cache_creation_input_tokens
        return {name: value for name, value in fields.items() if value not in (None, "", [])}


def soon(call: Callable[[], None]) -> None:
    """Do it when the loop comes round again: the client has its answer by then, and waits for no disk."""
    asyncio.get_running_loop().call_soon(call)


class Recorder:
    """Begins and ends records, and passes each to the metrics at once and to the log a little later.

    sessions: are told how large each session's last request was. masked: takes secrets out of an error.
    on_end: called with each record and when it ended, by the clock.
    keep: gets the row of each for the database, None where none is kept. wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        metrics: Metrics,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[Callable[[], None]], None] = soon,
        sessions: Sessions | None = None,
        masked: Callable[[str], str] = str,
        on_end: Callable[[Record, float], None] | None = None,
        keep: Callable[[RequestRow], None] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._keep = keep
        self._wall_clock = wall_clock
        self._masked = masked
        self._on_end = on_end
        self._sessions = sessions
        self._metrics = metrics
        self._logger = logger
        self._clock = clock
        self._later = later

    def begin(self, client: Client, route: str, body: bytes) -> Record:
        """Return the record of a request that begins."""
        self._metrics.begin()
        return Record(client=client, route=route, started_at=self._clock(), body_bytes=len(body))

    def answered(self, record: Record) -> None:
        """Note that the upstream's answer has begun."""
        record.answered_at = self._clock()

    def end(self, record: Record, error: BaseException | None = None) -> None:
        """End the record, once. error: why there is no answer, or why it broke off."""
        if record.is_ended:
            return
        record.is_ended = True
        if record.when_ended is not None:
            record.when_ended(record, error)
            return
        record.rules = (*record.routing_rules, *record.rules)
        if error is not None:
            _note(record, error, self._masked)
        self._metrics.end(record)
        if self._sessions is not None and not record.is_aside:
            self._sessions.note(record.client.session_id, record.last_usage or record.usage)
        if self._on_end is not None and not record.is_aside:
            self._on_end(record, self._clock())
        if self._keep is not None:
            self._keep(row_of(record, self._clock(), self._wall_clock()))
        level = logging.INFO if record.outcome != "error" else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._later(partial(self._log, level, record, self._clock()))

    def _log(self, level: int, record: Record, ended_at: float) -> None:
        fields = record.fields(ended_at, is_detailed=self._logger.isEnabledFor(logging.DEBUG))
        self._logger.log(level, "request %s", record.outcome, extra={"fields": fields})


def _note(record: Record, error: BaseException, masked: Callable[[str], str]) -> None:
    if isinstance(error, asyncio.CancelledError):
        record.outcome = "cancelled"
        record.status = CLIENT_GONE
        return
    record.outcome = "error"
    if isinstance(error, ApiError):
        record.status = error.status
        record.error_type = error.error_type
        record.error = masked(error.message)[:500]
    else:
        record.status = 500
        record.error_type = "api_error"
        record.error = type(error).__name__


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
