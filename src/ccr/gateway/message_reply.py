"""A streamed message: upstream bytes in, the client's events out, signs of life in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.errors import ApiError, UpstreamError
from ccr.gateway.patience import Silence
from ccr.gateway.replies import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience
    from ccr.gateway.recovery import Recovery
    from ccr.protocol.native_stream import NativeTap
    from ccr.protocol.stream import MessageStream

    Stream = MessageStream | NativeTap


class MessageReply:
    """The answer to a Messages request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. recovery: goes on with a message whose upstream breaks off.
    """

    def __init__(
        self,
        answer: Incoming,
        stream: Stream,
        *,
        patience: Patience,
        clock: Callable[[], float],
        on_end: Callable[[MessageReply], None],
        recovery: Recovery | None = None,
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self.answer = answer
        self.stream = stream
        self.fault: Exception | None = None
        """A fault of ours that ended it."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self._patience = patience
        self._clock = clock
        self._on_end = on_end
        self._recovery = recovery
        self._silence = Silence(patience, clock())
        self._is_begun = False

    async def next(self) -> bytes:
        """Return the next events, b"" at the end; errors of the upstream are events."""
        out = b""
        if not self._is_begun:
            self._is_begun = True
            out = self._passed(self.stream.start())
        if not out:
            try:
                out = await self._next()
            except Exception as error:
                self.fault = error
                raise
        self.sent_bytes += len(out)
        return out

    async def _next(self) -> bytes:
        while not self.stream.is_finished:
            out = self._passed(await self._read())
            now = self._clock()
            if out:
                self._silence.sent(now)
                return out
            out = self._passed(await self._sign_of_life(now))
            if out:
                return out
        return b""

    async def _read(self) -> bytes:
        """Return the events of one read; b"" when it brought none."""
        stream = self.stream
        is_ending = stream.is_ending
        timeout_s = self._patience.last_bytes_s if is_ending else self._patience.ping_s
        try:
            data = await self.answer.next(timeout_s)
        except TimeoutError:
            if is_ending:
                return stream.close()
            self._silence.waited(timeout_s)
            return b""
        except UpstreamError as error:
            return stream.close() if is_ending else await self._broken(error)
        except ApiError as error:  # a transformer's
            return stream.fail(error)
        if not data:
            return stream.close() if is_ending else await self._broken(None)
        self.received_bytes += len(data)
        self._silence.heard()
        return stream.feed(data)

    def _passed(self, out: bytes) -> bytes:
        return out if self._recovery is None else self._recovery.passed(out)

    async def _broken(self, error: UpstreamError | None) -> bytes:
        """Go on with the message where that can be done; else return how it ends. error: None at an end."""
        stream = self.stream
        if self._recovery is not None:
            self.answer.close()
            rest = await self._recovery.rest(stream)
            if rest is not None:
                self.answer, self.stream = rest
                self._silence = Silence(self._patience, self._clock())
                return self.stream.start()
        return stream.close() if error is None else stream.fail(error)

    async def _sign_of_life(self, now: float) -> bytes:
        word = self._silence.word(now)
        if word is None:
            return b""
        if word == "ping":
            return self.stream.ping()
        if word == "keep_alive":
            return self.stream.keep_alive()
        return await self._broken(
            UpstreamError(
                504, f"the upstream sent nothing for {self._silence.limit_s:.0f} s; the answer is cut"
            )
        )

    def close(self) -> None:
        """End it; the upstream's connection is kept for the next request when the answer is complete."""
        self._on_end(self)
