"""A streamed chat completion: the upstream's events, untouched, tapped for token counts and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


class ChatReply:
    """The answer to a chat request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. A stream that ends without ``[DONE]`` is relayed as it is:
    the client sees what it would see without ccr between. An error event is not: OpenAI's clients take one in
    another shape than theirs for a chunk, so that it is raised instead. Events are relayed once they are
    whole, so that nothing of an error has gone out before it is known for one. masked: takes keys that were
    sent out of an error.
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
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self.answer = answer
        self.usage: ChatUsage | None = None
        self.error: ApiError | None = None
        self.is_finished = False
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
        self._reported: UpstreamError | None = None

    async def next(self) -> bytes:
        """Return events that the upstream sent, b"" at the end. Raises ApiError when it breaks off."""
        while True:
            data = await self._read_bytes()
            self.received_bytes += len(data)
            relayed = self._relayed(data)
            self.is_finished = self.is_finished or not data
            if relayed or not data:
                self.sent_bytes += len(relayed)
                return relayed

    async def _read_bytes(self) -> bytes:
        if self._reported is not None:
            self.error = self._reported
            raise self.error
        limit_s = self._patience.idle_s if self.received_bytes else self._patience.whole_s
        try:
            return await self.answer.next(limit_s)
        except TimeoutError:
            self.error = UpstreamError(
                504, f"{self._provider} sent nothing for {limit_s:.0f} s; the answer is cut"
            )
        except ApiError as error:
            self.error = error
        if not self.is_finished:
            raise self.error
        return b""

    def _relayed(self, data: bytes) -> bytes:
        """Return what one read lets out: whole events, up to an error; at the end all that is left."""
        if self._decoder is None:
            return data
        whole = b""
        try:
            whole = self._framer.feed(data) if data else self._framer.close()
            for index, event in enumerate(self._decoder.feed(whole)):
                self._read(event)
                if self._reported is not None:
                    return _first_events(whole, index)
        except ProtocolError:
            # The client is told nothing else than without ccr; only the counts are missing.
            self._decoder = None
            return whole + self._framer.rest()
        return whole if data else whole + self._framer.rest()

    def _read(self, event: Event) -> None:
        self.event_count += 1
        if self.is_finished:
            return
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
