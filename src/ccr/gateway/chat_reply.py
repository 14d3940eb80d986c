"""A streamed chat completion: the upstream's events, untouched, tapped for token counts and errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from ccr.errors import ApiError, ProtocolError, UpstreamError
from ccr.gateway.replies import EVENT_STREAM
from ccr.protocol.completion import decode_chunk
from ccr.protocol.errors_from_upstream import error_in_answer
from ccr.protocol.native_framing import Framer, frames
from ccr.protocol.sse import DONE, Decoder
from ccr.protocol.usage import ChatUsage, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience
    from ccr.protocol.sse import Event

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment, which every reader of a stream passes over."""
_EVENT_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
FINISH_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"')
"""A finish reason, found without parsing the chunk: inside of a text its quotes have backslashes."""


class ChatReply:
    """The answer to a chat request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. A stream that ends without ``[DONE]`` is complete when it had
    a ``finish_reason``; else it is raised that it was cut, which OpenAI's clients would take for the answer's
    end. An error event is raised, too: they take one in another shape than theirs for a chunk. Events are
    relayed once they are whole, so that nothing of an error has gone out before it is known for one. masked:
    takes keys that were sent out of an error. is_chat: whether the events are chunks, with a finish reason.
    """

    def __init__(
        self,
        answer: Incoming,
        *,
        provider: str,
        model: str,
        masked: Callable[[str], str],
        patience: Patience,
        on_end: Callable[[ChatReply], None],
        is_chat: bool = True,
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self.answer = answer
        self.usage: ChatUsage | None = None
        self.error: ApiError | None = None
        self.is_finished = False
        self.is_left = False
        """Whoever reads it goes before its end, so that the connection cannot be kept."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.event_count = 0
        self._provider = provider
        self._model = model
        self._masked = masked
        self._patience = patience
        self._on_end = on_end
        self._framer = Framer()
        self._decoder: Decoder | None = Decoder()
        self._is_chat = is_chat
        self._has_end = not is_chat
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
        except BaseException:  # also where the client leaves: nobody has this answer yet to close it
            self.answer.close()
            raise

    async def next(self) -> bytes:
        """Return events that the upstream sent, b"" at the end. Raises ApiError when it breaks off."""
        first, self._first = self._first, b""
        relayed = first or await self._next()
        self.sent_bytes += len(relayed)
        return relayed

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
            relayed = self._relayed(data)
            is_end = not data and self._reported is None
            self.is_finished = self.is_finished or is_end
            if relayed or is_end:
                self._is_between_events = relayed.endswith(_EVENT_ENDS)
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

    def _relayed(self, data: bytes) -> bytes:
        """Return what one read lets out: whole events, up to an error; at the end all that is left."""
        if self._decoder is None:
            return data
        whole = b""
        try:
            whole = self._framer.feed(data) if data else self._framer.close()
            for index, event in enumerate(self._decoder.feed(whole)):
                self._read_safely(event)
                if self._reported is not None:
                    return _first_events(whole, index)
            return whole if data else whole + self._last(self._decoder)
        except ProtocolError:
            # The client is told nothing else than without ccr; only the counts are missing.
            self._decoder = None
            return whole + self._framer.rest()

    def _last(self, decoder: Decoder) -> bytes:
        """Return the last event, if it came without the empty line behind it.

        That the answer was cut is remembered, to be raised after what was relayed; half an event is not.
        Raises ProtocolError.
        """
        rest = self._framer.rest()
        for event in (*decoder.feed(rest), *decoder.close()):
            self._read_safely(event)
        if self._reported is None and (self._has_end or self.is_finished):
            return rest
        what = f"the answer was cut: no finish_reason in {self.event_count} events"
        if not self.event_count:
            what = "closed the stream before its first event"
        self._reported = self._reported or UpstreamError(502, f"{self._provider}, {self._model}: {what}")
        return b""

    def _read_safely(self, event: Event) -> None:
        """Read an event; one that was looked into and is no JSON is an error, as every client takes it.

        It may be an error of the provider's that quotes badly, key and all, and is not passed on as it is.
        Raises ProtocolError on JSON in the shape of no chunk, which clients make of it what they can.
        """
        try:
            self._read(event)
        except ProtocolError as error:
            if not self._is_chat or isinstance(error.__cause__, msgspec.ValidationError):
                raise
            what = f"{self._provider}, {self._model}: {error}"
            self._reported = UpstreamError(502, self._masked(what))

    def _read(self, event: Event) -> None:
        self.event_count += 1
        if self.is_finished:
            return
        self._has_end = self._has_end or _ends(event)
        if event.data.strip() == DONE:
            self.is_finished = True
        elif event.event == "error":
            self._report(event)
        elif b'"choices"' not in event.data or b'"usage"' in event.data:
            chunk = decode_chunk(event.data)
            if chunk.is_error:
                self._report(event)
            elif chunk.usage is not None:
                self.usage = merged(self.usage, chunk.usage)

    def _report(self, event: Event) -> None:
        self._reported = error_in_answer(
            event.data, provider=self._provider, model=self._model, masked=self._masked
        )

    def close(self) -> None:
        """End it; the upstream's connection is kept for the next request when the answer is complete."""
        self._on_end(self)


def _first_events(whole: bytes, count: int) -> bytes:
    """Return the bytes of the first events, and of the comments between them."""
    kept: list[bytes] = []
    for frame in frames(whole):
        if Decoder().feed(frame):
            if count == 0:
                break
            count -= 1
        kept.append(frame)
    return b"".join(kept)


def _ends(event: Event) -> bool:
    return event.data.strip() == DONE or FINISH_REASON.search(event.data) is not None
