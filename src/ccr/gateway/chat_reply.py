"""A streamed chat completion: the upstream's bytes, untouched, tapped for token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.errors import ApiError, ProtocolError, UpstreamError
from ccr.gateway.replies import EVENT_STREAM
from ccr.protocol.completion import decode_chunk
from ccr.protocol.sse import DONE, Decoder
from ccr.protocol.usage import ChatUsage, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.patience import Patience


class ChatReply:
    """The answer to a chat request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. A stream that ends without ``[DONE]`` is relayed as it is:
    the client sees what it would see without ccr between.
    """

    def __init__(
        self,
        answer: Incoming,
        *,
        provider: str,
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
        self._patience = patience
        self._on_end = on_end
        self._tap: Decoder | None = Decoder()

    async def next(self) -> bytes:
        """Return what the upstream sent, b"" at the end. Raises ApiError when it breaks off."""
        limit_s = self._patience.idle_s if self.received_bytes else self._patience.whole_s
        try:
            data = await self.answer.next(limit_s)
        except TimeoutError:
            self.error = UpstreamError(
                504, f"{self._provider} sent nothing for {limit_s:.0f} s; the answer is cut"
            )
        except ApiError as error:
            self.error = error
        if self.error is not None:
            if self.is_finished:
                return b""
            raise self.error
        self.received_bytes += len(data)
        self._read(data)
        self.is_finished = self.is_finished or not data
        return data

    def _read(self, data: bytes) -> None:
        if self._tap is None:
            return
        try:
            for event in self._tap.feed(data):
                self.event_count += 1
                if event.data.strip() == DONE:
                    self.is_finished = True
                elif b'"usage"' in event.data:
                    usage = decode_chunk(event.data).usage
                    self.usage = merged(self.usage, usage) if usage is not None else self.usage
        except ProtocolError:
            self._tap = None  # the client is told nothing else than without ccr; only the counts are missing

    def close(self) -> None:
        """End it; the upstream's connection is kept for the next request when the answer is complete."""
        self._on_end(self)
