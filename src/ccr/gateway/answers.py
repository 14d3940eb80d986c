"""What is done with an upstream's answer in either dialect: reading it whole, noting how a stream ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ccr.errors import UpstreamError
from ccr.gateway.changed_answers import release

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.learning import Learning
    from ccr.gateway.message_reply import MessageReply, Stream
    from ccr.gateway.record import Record, Recorder
    from ccr.gateway.routes import Route
    from ccr.upstream.client import Upstream

JSON_TYPE: Final = "application/json"
STREAM_TYPE: Final = "text/event-stream"


async def whole_body(answer: Incoming, record: Record, *, idle_s: float) -> bytes:
    """Return the body of an answer, which is closed. idle_s: how long it may be silent."""
    try:
        data = await answer.read(timeout_s=idle_s)
    finally:
        answer.close()
    record.upstream_bytes = len(data)
    return data


def stream_not_asked_for(record: Record) -> UpstreamError:
    """Return the error for a stream in place of a whole answer."""
    text = f"{record.provider} answered with a stream although none was asked for"
    return UpstreamError(502, text, should_retry=False)


def note_stream(record: Record, stream: Stream) -> None:
    """Put into the record what a stream has told."""
    record.events = stream.event_count
    record.usage = stream.usage
    record.stop_reason = stream.stop_reason
    record.rules += stream.rules


class StreamEnds:
    """What follows the end of a streamed message: connection, counts, record."""

    def __init__(self, upstream: Upstream, recorder: Recorder, learning: Learning) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._learning = learning

    def of(self, record: Record, route: Route, estimated: int | None) -> Callable[[MessageReply], None]:
        """Return what a reply calls when it is closed. estimated: an estimate to correct, if there is one."""

        def on_end(reply: MessageReply) -> None:
            stream, answer = reply.stream, reply.answer
            record.sent_bytes = reply.sent_bytes
            record.upstream_bytes = reply.received_bytes
            note_stream(record, stream)
            if not stream.is_finished:
                answer.close()
                self._recorder.end(record, reply.fault or asyncio.CancelledError())
                return
            if stream.error is None:
                release(self._upstream, answer)
            else:
                answer.close()
            self._learning.learn(route, estimated, stream.usage)
            self._recorder.end(record, stream.error)

        return on_end
