"""A streamed response: a chat stream on its way into the Responses API's events, while it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.errors import ApiError
from ccr.gateway.chat_reply import KEEP_ALIVE
from ccr.gateway.end_point_reply import leave
from ccr.gateway.replies import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.chat_reply import ChatReply
    from ccr.protocol.response_stream import ResponseStream


class ResponseReply:
    """The answer to a request of the Responses API that is streamed; see ``replies.StreamReply``.

    inner: the answer in the chat format, which leaves the record when it is closed; on_end is called before.
    last_bytes_s: how long its end is waited for once it is complete. An answer that breaks off ends with
    ``response.failed``: the error is told in the stream, and raised to nobody.
    """

    def __init__(
        self, inner: ChatReply, stream: ResponseStream, *, last_bytes_s: float, on_end: Callable[[], None]
    ) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self._inner = inner
        self._stream = stream
        self._last_bytes_s = last_bytes_s
        self._on_end = on_end
        self._is_at_end = False
        self._sent_bytes = 0

    async def next(self) -> bytes:
        """Return the events that are made by now, b"" at the end."""
        while not self._is_at_end and self._stream.error is None:
            try:
                data = await self._read()
            except ApiError as error:
                self._is_at_end = self._inner.is_left = True
                out = self._stream.fail(error)
            else:
                self._is_at_end = not data
                out = self._stream.feed(data) if data else self._stream.close()
                if not out and data == KEEP_ALIVE:
                    out = KEEP_ALIVE
            if out:
                self._sent_bytes += len(out)
                return out
        return b""

    async def _read(self) -> bytes:
        """Return what the upstream sent; b"" too where it does not end although its answer is complete."""
        if not (self._stream.is_ending or self._stream.is_finished):
            return await self._inner.next()
        try:
            async with asyncio.timeout(self._last_bytes_s):
                data = await self._inner.next()
                while data == KEEP_ALIVE:
                    data = await self._inner.next()
        except TimeoutError:
            self._inner.is_left = True
            return b""
        return data

    def close(self) -> None:
        """End the answer it is made of, and with it the record."""
        self._on_end()
        self._inner.sent_bytes = self._sent_bytes
        stream = self._stream
        if stream.error is not None or not stream.is_finished:
            leave(self._inner, stream.error)
            return
        self._inner.is_left = self._inner.is_left or not self._is_at_end
        self._inner.is_finished = True
        self._inner.close()
