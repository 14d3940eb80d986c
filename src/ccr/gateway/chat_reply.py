"""A streamed chat completion: the upstream's bytes, untouched, tapped for token counts and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import ApiError, ProtocolError, UpstreamError
from ccr.gateway.replies import EVENT_STREAM
from ccr.protocol.completion import decode_chunk
from ccr.protocol.errors_from_upstream import error_in_answer
from ccr.protocol.sse import DONE, Decoder
from ccr.protocol.usage import ChatUsage, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment, which every reader of a stream passes over."""
_EVENT_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")


class ChatReply:
    """The answer to a chat request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. A stream that ends without ``[DONE]`` is relayed as it is:
    the client sees what it would see without ccr between. An error event is not: OpenAI's clients take one in
    another shape than theirs for a chunk, so that it is raised instead.
    """

    def __init__(
        self,
        answer: Incoming,
        *,
        provider: str,
        model: str,
        patience: Patience,
        on_end: Callable[[ChatReply], None],
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self.answer = answer
        self.usage: ChatUsage | None = None
        self.error: ApiError | None = None
        self.is_finished = False
        self.received_bytes = 0
        self.event_count = 0
        self._provider = provider
        self._model = model
        self._patience = patience
        self._on_end = on_end
        self._tap: Decoder | None = Decoder()
        self._reported: UpstreamError | None = None
        self._first = b""
        self._waited_s = answer.waited_s
        self._is_between_events = True

    async def begin(self) -> None:
        """Wait for the first bytes; whoever calls this calls it before ``next``.

        Raises ApiError when the upstream fails before them: nothing has reached the client then. The answer
        is closed.
        """
        try:
            if self._waited_s:
                self._check_patience()
            more = KEEP_ALIVE if self._waited_s else b""
            self._first = more
            while more is not KEEP_ALIVE and b"data:" not in more:
                more = await self._next()  # a comment is no event
                if not more:
                    raise UpstreamError(502, f"{self._provider} closed the stream before its first event")
                self._first += more
        except BaseException:
            self.answer.close()
            raise

    async def next(self) -> bytes:
        """Return what the upstream sent, b"" at the end. Raises ApiError when it breaks off."""
        first, self._first = self._first, b""
        return first or await self._next()

    async def _next(self) -> bytes:
        while True:
            if self._reported is not None:
                self.error = self._reported
                raise self.error
            try:
                data = await self._received()
            except TimeoutError:
                return KEEP_ALIVE
            except ApiError as error:
                if self.is_finished:
                    return b""
                self.error = error
                raise
            self.received_bytes += len(data)
            relayed = self._read(data)
            self.is_finished = self.is_finished or not data
            if relayed or not data:
                return relayed

    async def _received(self) -> bytes:
        """Return the next bytes. Raises TimeoutError when the client is to get a sign of life instead."""
        while True:
            wait_s = max(0.0, min(self._patience.ping_s, self._limit_s - self._waited_s))
            try:
                data = await self.answer.next(wait_s)
            except TimeoutError:
                self._waited_s += wait_s
                self._check_patience()
                if self._is_between_events:
                    raise
                continue
            self._waited_s = 0.0
            self._is_between_events = data.endswith(_EVENT_ENDS)
            return data

    @property
    def _limit_s(self) -> float:
        patience = self._patience
        return patience.idle_s if self.received_bytes else patience.first_byte_s or patience.idle_s

    def _check_patience(self) -> None:
        if self._waited_s >= self._limit_s:
            raise UpstreamError(
                504, f"{self._provider} sent nothing for {self._limit_s:.0f} s; the answer is cut"
            )

    def _read(self, data: bytes) -> bytes:
        """Return what is relayed of ``data``: all of it, or what stands before an error."""
        if self._tap is None:
            return data
        try:
            for event in self._tap.feed(data):
                self.event_count += 1
                if event.data.strip() == DONE:
                    self.is_finished = True
                elif b'"choices"' not in event.data or b'"usage"' in event.data:
                    chunk = decode_chunk(event.data)
                    if chunk.is_error and not self.is_finished:
                        self._reported = error_in_answer(
                            event.data, provider=self._provider, model=self._model
                        )
                        return data[: max(data.rfind(b"data:", 0, data.find(event.data)), 0)]
                    self.usage = merged(self.usage, chunk.usage) if chunk.usage is not None else self.usage
        except ProtocolError:
            self._tap = None  # the client is told nothing else than without ccr; only the counts are missing
        return data

    def close(self) -> None:
        """End it; the upstream's connection is kept for the next request when the answer is complete."""
        self._on_end(self)
