"""A streamed message: upstream bytes in, the client's events out, signs of life in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import ApiError, UpstreamError
from ccr.gateway.patience import Silence
from ccr.gateway.recovery import is_passing
from ccr.gateway.replies import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience
    from ccr.gateway.recovery import Recovery
    from ccr.protocol.native_stream import NativeTap
    from ccr.protocol.stream import MessageStream

    Stream = MessageStream | NativeTap

EVENT: Final = b"event: "
CONTENT: Final = b"event: content_block_start"
"""What no event is before an answer has content."""


class MessageReply:
    """The answer to a Messages request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. recovery: goes on with a message whose upstream breaks off.
    """

    def __init__(
        self,
        answer: Incoming,
        stream: Stream,
        *,
        provider: str,
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
        self._provider = provider
        self._patience = patience
        self._clock = clock
        self._on_end = on_end
        self._recovery = recovery
        self._silence = Silence(patience, clock(), waited_s=answer.waited_s)
        self._first = b""

    async def begin(self) -> None:
        """Wait for the first events; whoever calls this calls it before ``next``.

        Raises ApiError when the upstream fails before any content: nothing has reached the client then, so
        that it is no stream that broke but a request that was not answered. The answer is closed.
        """
        try:
            first = self._passed(self.stream.start())
            if self.answer.waited_s:
                first += await self._sign_of_life(self._clock())
            begun = first if self.answer.waited_s else b""
            while EVENT not in begun and not self.stream.is_finished:
                begun = await self._next()  # a comment is no event
                first += begun
            if self.stream.error is not None and CONTENT not in first:
                raise self.stream.error
        except BaseException:  # also where the client leaves: nobody has this answer yet to close it
            self.answer.close()
            raise
        self._first = first

    async def next(self) -> bytes:
        """Return the next events, b"" at the end; errors of the upstream are events."""
        out, self._first = self._first, b""
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
            out = await self._read()
            now = self._clock()
            if out:
                self._silence.sent(now)
                return out
            out = await self._sign_of_life(now)
            if out:
                return out
        return b""

    async def _read(self) -> bytes:
        """Return the events of one read, as they go out; b"" when it brought none."""
        stream = self.stream
        is_ending = stream.is_ending
        timeout_s = self._patience.last_bytes_s if is_ending else self._silence.wait_s
        try:
            data = await self.answer.next(timeout_s)
        except TimeoutError:
            if is_ending:
                return self._passed(stream.close())
            self._silence.waited(timeout_s)
            return b""
        except UpstreamError as error:
            return self._passed(stream.close()) if is_ending else await self._broken(error)
        except ApiError as error:  # a transformer's
            return self._passed(stream.fail(error))
        if not data:
            return self._passed(stream.close()) if is_ending else await self._broken(None)
        self.received_bytes += len(data)
        self._silence.heard()
        out = stream.feed(data)
        if self._recovery is None or not isinstance(stream.error, UpstreamError):
            return self._passed(out)
        return self._passed(out.removesuffix(stream.error_event)) + await self._told(stream)

    def _passed(self, out: bytes) -> bytes:
        return out if self._recovery is None else self._recovery.passed(out)

    async def _broken(self, error: UpstreamError | None) -> bytes:
        """Go on with the message where that can be done; else return how it ends. error: None at an end."""
        stream = self.stream
        if await self._is_gone_on_with():
            return self._passed(self.stream.start())
        return self._passed(stream.close() if error is None else stream.fail(error))

    async def _told(self, stream: Stream) -> bytes:
        """Do the same with a stream that has ended with an error of the upstream's."""
        if stream.error is not None and is_passing(stream.error) and await self._is_gone_on_with():
            return self._passed(self.stream.start())
        return self._passed(stream.error_event)

    async def _is_gone_on_with(self) -> bool:
        if self._recovery is None:
            return False
        self.answer.close()
        rest = await self._recovery.rest(self.stream)
        if rest is None:
            return False
        self.answer, self.stream = rest
        self._silence = Silence(self._patience, self._clock(), waited_s=self.answer.waited_s)
        return True

    async def _sign_of_life(self, now: float) -> bytes:
        word = self._silence.word(now)
        if word is None:
            return b""
        if word == "ping":
            return self._passed(self.stream.ping())
        if word == "keep_alive":
            return self._passed(self.stream.keep_alive())
        return await self._broken(
            UpstreamError(
                504, f"{self._provider} sent nothing for {self._silence.limit_s:.0f} s; the answer is cut"
            )
        )

    def close(self) -> None:
        """End it; the upstream's connection is kept for the next request when the answer is complete."""
        self._on_end(self)
