"""A streamed chat completion: the upstream's bytes, untouched, tapped for token counts and errors."""

from __future__ import annotations

import re
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
    from ccr.protocol.sse import Event

FINISH_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"')
"""A finish reason, found without parsing the chunk: inside of a text its quotes have backslashes."""


class ChatReply:
    """The answer to a chat request that is streamed; see ``replies.StreamReply``.

    on_end: called by ``close`` with this reply. A stream that ends without ``[DONE]`` is complete when it had
    a ``finish_reason``; else it is raised that it was cut, which OpenAI's clients would take for the answer's
    end. An error event is raised, too: they take one in another shape than theirs for a chunk.
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
        self._has_end = False
        self._reported: UpstreamError | None = None

    async def next(self) -> bytes:
        """Return what the upstream sent, b"" at the end. Raises ApiError when it breaks off."""
        if self._reported is not None:
            self.error = self._reported
            raise self.error
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
        if not data:
            return self._end()
        relayed = self._read(data)
        return relayed or await self.next()

    def _end(self) -> bytes:
        """Return b"" at the end of the upstream's answer. Raises UpstreamError when it came too early."""
        if self._tap is not None:
            self._has_end = self._has_end or any(map(_ends, self._tap.close()))
        is_cut = self._tap is not None and not self._has_end and not self.is_finished
        if is_cut and self._reported is None:
            what = f"the answer was cut: no finish_reason in {self.event_count} events"
            self._reported = UpstreamError(502, f"{self._provider}, {self._model}: {what}")
        if self._reported is not None and not self.is_finished:
            self.error = self._reported
            raise self.error
        self.is_finished = True
        return b""

    def _read(self, data: bytes) -> bytes:
        """Return what is relayed of ``data``: all of it, or what stands before an error."""
        if self._tap is None:
            return data
        try:
            for event in self._tap.feed(data):
                self.event_count += 1
                self._has_end = self._has_end or _ends(event)
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


def _ends(event: Event) -> bool:
    return event.data.strip() == DONE or FINISH_REASON.search(event.data) is not None
