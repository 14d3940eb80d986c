"""A streamed response of a provider that speaks the Messages API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.errors import ProtocolError, UpstreamError
from ccr.gateway.chat_reply import KEEP_ALIVE
from ccr.gateway.replies import EVENT_STREAM
from ccr.protocol.chunks_from_message import ChunksFromMessage

if TYPE_CHECKING:
    from ccr.gateway.message_reply import MessageReply
    from ccr.protocol.response_stream import ResponseStream


class NativeResponseReply:
    """The answer to a request of the Responses API; see ``replies.StreamReply``.

    inner: the answer as a message, which leaves the record when it is closed. Its error ends the response.
    """

    def __init__(self, inner: MessageReply, stream: ResponseStream) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self._inner = inner
        self._stream = stream
        self._chunks = ChunksFromMessage()

    async def next(self) -> bytes:
        """Return the events that are made by now, b"" at the end."""
        while not self._stream.is_finished:
            data = await self._inner.next()
            out = self._made(data)
            if self._inner.stream.error is not None:
                out += self._stream.fail(self._inner.stream.error)
            elif not data:
                out += self._stream.close()
            return out or KEEP_ALIVE
        return b""

    def _made(self, data: bytes) -> bytes:
        """Return the events that some of the message's make."""
        try:
            return self._stream.feed(self._chunks.feed(data))
        except ProtocolError as error:
            self._inner.fault = UpstreamError(502, str(error))
            return self._stream.fail(self._inner.fault)

    def close(self) -> None:
        """End the answer it is made of, and with it the record."""
        self._inner.close()
