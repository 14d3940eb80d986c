"""A streamed answer that the image agent makes of several: see ``replies.StreamReply``.

While a round runs, its own reply keeps the client's connection alive. Between two rounds, while images are
looked at and until the next answer begins, this one does: what happens then is one task, which ends when the
client leaves.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ccr.errors import ApiError, UpstreamError
from ccr.gateway.patience import Silence
from ccr.gateway.replies import EVENT_STREAM, Reply
from ccr.protocol.image_agent import ImageRule
from ccr.protocol.image_rounds import Result, Round, results_as_text
from ccr.protocol.image_stream import JoinedStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.image_agent import Rounds
    from ccr.gateway.patience import Patience
    from ccr.gateway.replies import StreamReply


class ImageReply:
    """One message out of the streams of several rounds. reply: that of the first."""

    def __init__(
        self,
        reply: Reply | StreamReply,
        rounds: Rounds,
        *,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self._reply = _streamed(reply)
        self._rounds = rounds
        self._joined = JoinedStream(rounds.tool)
        # What is waited for has limits of its own, and ends with an error when it reaches them.
        self._patience = replace(patience, idle_s=math.inf, first_byte_s=None)
        self._clock = clock
        self._silence = Silence(self._patience, clock())
        self._between: asyncio.Task[StreamReply | list[Result]] | None = None
        self._error: BaseException | None = None

    async def next(self) -> bytes:
        """Return the next events, b"" at the end; errors are events."""
        while not self._joined.is_finished:
            try:
                out = await (self._read() if self._between is None else self._waited(self._between))
            except Exception as error:  # the record tells it, whatever it was
                self._error = error
                raise
            if out:
                self._rounds.record.sent_bytes += len(out)
                return out
        return b""

    async def _read(self) -> bytes:
        data = await self._reply.next()
        if data:
            return self._joined.feed(data)
        self._reply.close()
        if not self._joined.is_held:
            error = UpstreamError(502, f"{self._rounds.record.provider}: the answer has no end")
            return self._failed(error)
        said = self._joined.round
        if said.next == "cut":
            self._rounds.record.note(ImageRule.CALL_CUT)
            return self._joined.end()
        self._silence = Silence(self._patience, self._clock())
        self._between = asyncio.create_task(self._gone_on(said))
        return b""

    async def _gone_on(self, said: Round) -> StreamReply | list[Result]:
        """Return the answer of the next round, or the results where there is to be none."""
        results = await self._rounds.results(said, self._joined.iterations)
        if said.next == "as_text":
            return results
        return _streamed(await self._rounds.again(said, results))

    async def _waited(self, between: asyncio.Task[StreamReply | list[Result]]) -> bytes:
        done, _ = await asyncio.wait([between], timeout=self._silence.wait_s)
        if not done:
            word = self._silence.word(self._clock())
            if word is None:
                return b""
            return self._joined.ping() if word == "ping" else self._joined.keep_alive()
        self._between = None
        try:
            after = between.result()
        except ApiError as error:
            return self._failed(error)
        if isinstance(after, list):
            return self._joined.text(results_as_text(after)) + self._joined.end()
        self._joined.again()
        self._reply = after
        return b""

    def _failed(self, error: ApiError) -> bytes:
        self._error = error
        return self._joined.fail(error)

    def close(self) -> None:
        """End it: whatever still runs is stopped, the record is written."""
        if self._between is not None:
            self._between.cancel()
            self._between.add_done_callback(_dropped)
        self._reply.close()
        error = self._error or self._rounds.error
        if error is None and not self._joined.is_finished:
            error = asyncio.CancelledError()
        self._rounds.recorder.end(self._rounds.record, error)


def _dropped(between: asyncio.Task[StreamReply | list[Result]]) -> None:
    """Close an answer that came when nobody waited for it any more."""
    if between.cancelled() or between.exception() is not None:
        return
    after = between.result()
    if not isinstance(after, list):
        after.close()


class _Burst:
    """A stream that came in one piece; its record has ended."""

    def __init__(self, reply: Reply) -> None:
        self.headers = reply.headers
        self._left = reply.body

    async def next(self) -> bytes:
        out, self._left = self._left, b""
        return out

    def close(self) -> None:
        self._left = b""


def _streamed(reply: Reply | StreamReply) -> StreamReply:
    return _Burst(reply) if isinstance(reply, Reply) else reply
