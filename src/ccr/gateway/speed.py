"""The speed of each answer, told where the configuration says: the log, a file of the session, a web address.

Measured from the record a request leaves: the output tokens that the upstream reported, its first byte and
the end. Nothing is counted or looked at while an answer runs. The npm router's plugin ``token-speed`` counts
tokens by itself, event by event, and tells its figures every second as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.gateway.outbox import Outbox
from ccr.gateway.session_files import SessionFiles
from ccr.gateway.sessions import checked_session_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.config.speed import TokenSpeed
    from ccr.gateway.record import Record
    from ccr.upstream.webhook import WebhookSender

LEVELS: Final = {
    "log": logging.INFO,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "debug": logging.DEBUG,
}


class Speed(NamedTuple):
    """How fast an answer was. first_token_s: None where nobody saw its beginning. at: seconds since 1970."""

    request_id: str
    session_id: str | None
    route: str
    is_stream: bool
    tokens: int
    tokens_per_s: float
    first_token_s: float | None
    duration_s: float
    at: float

    def values(self) -> dict[str, Any]:
        """Return it in the spelling of the npm router's plugin, which people's programs read."""
        first = self.first_token_s
        return {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "model": self.route,
            "stream": self.is_stream,
            "tokenCount": self.tokens,
            "tokensPerSecond": round(self.tokens_per_s),
            "timeToFirstToken": "N/A" if first is None else f"{first * 1000:.0f}ms",
            "duration": f"{self.duration_s:.2f}s",
            "timestamp": round(self.at * 1000),
        }

    def fields(self) -> dict[str, Any]:
        """Return it as a line of the log has it."""
        first = self.first_token_s
        return {
            "request_id": self.request_id,
            "session_id": self.session_id,
            "route": self.route,
            "tokens": self.tokens,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "first_token_ms": None if first is None else round(first * 1000, 1),
            "duration_ms": round(self.duration_s * 1000, 1),
        }


def speed_of(record: Record, ended_at: float, at: float) -> Speed | None:
    """Return the speed of an answer, None where there is none to tell. ended_at: monotonic seconds.

    A stream's counts from its first byte, as the status line's does; a whole answer's from the request.
    """
    tokens = record.usage.output_tokens if record.usage is not None else 0
    duration = ended_at - record.started_at
    if record.route != "messages" or record.outcome != "ok" or not tokens or duration <= 0:
        return None
    first = None if record.answered_at is None else record.answered_at - record.started_at
    writing = duration - first if record.is_stream and first is not None and first < duration else duration
    return Speed(
        request_id=record.client.request_id,
        session_id=checked_session_id(record.client.session_id),
        route=f"{record.provider},{record.upstream_model}",
        is_stream=record.is_stream,
        tokens=tokens,
        tokens_per_s=tokens / writing,
        first_token_s=first,
        duration_s=duration,
        at=at,
    )


class SpeedOutputs:
    """Where the speed of answers goes. Needs a running loop; ``close`` it.

    webhook: for the web address, where there is one. now: seconds since 1970.
    """

    def __init__(
        self,
        speed: TokenSpeed,
        webhook: WebhookSender | None,
        logger: logging.Logger,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._speed = speed
        self._logger = logger
        self._now = now
        self._webhook = webhook
        self._posted = Outbox("token-speed webhook", self._post, logger) if webhook is not None else None
        files = SessionFiles(speed.files) if speed.files is not None else None
        self._files = files
        self._written = Outbox("token-speed temp-file", self._write, logger) if files is not None else None

    def note(self, record: Record, ended_at: float) -> None:
        """Tell the speed of a request that has ended. ended_at: monotonic seconds."""
        speed = speed_of(record, ended_at, self._now())
        if speed is None:
            return
        if self._speed.console is not None:
            level = LEVELS[self._speed.console]
            self._logger.log(level, "token speed", extra={"fields": speed.fields()})
        if self._posted is not None:
            self._posted.put(speed)
        if self._written is not None and speed.session_id is not None:
            self._written.put(speed)

    async def close(self) -> None:
        """Tell what still waits, within two seconds."""
        await asyncio.gather(*(each.close() for each in (self._posted, self._written) if each is not None))
        if self._webhook is not None:
            await self._webhook.close()

    async def _post(self, speed: Speed) -> None:
        assert self._webhook is not None  # noqa: S101 - there is no outbox without it
        body: dict[str, Any] = {"data": speed.values()}
        if self._speed.has_time:
            body["timestamp"] = datetime.fromtimestamp(speed.at, UTC).isoformat(timespec="milliseconds")
        body["prefix"] = self._speed.prefix
        body["metadata"] = {"sessionId": speed.session_id, **self._speed.metadata}
        await self._webhook.send(json.dumps(body).encode())

    async def _write(self, speed: Speed) -> None:
        assert self._files is not None  # noqa: S101 - there is no outbox without it
        data = json.dumps(speed.values(), indent=2).encode()
        await asyncio.to_thread(self._files.write, speed.session_id or "", round(speed.at * 1000), data)
