"""An answer in the chat format on its way into the form of a plugin's own route, while it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ccr.errors import ApiError
from ccr.gateway.answers import JSON_TYPE, STREAM_TYPE
from ccr.gateway.changed_answers import MAX_BODY_BYTES
from ccr.gateway.replies import EVENT_STREAM, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ccr.gateway.chat_reply import ChatReply
    from ccr.transformers.base import Context
    from ccr.transformers.remote import Asked, HookedResponse, RemoteEndPoint

FIRST_ERROR: Final = 400
"""From this status on a plugin's answer is an error, which keeps its status; any other becomes 200."""


class EndPointReply:
    """The answer to a request at the route of a plugin's own; see ``replies.StreamReply``.

    inner: the answer in the chat format. Its stream is closed with this one, which leaves the record; the
    record of a whole answer is whoever's who made it.
    """

    def __init__(self, inner: Reply | ChatReply, response: HookedResponse, source: Source, name: str) -> None:
        self.headers = {"content-type": EVENT_STREAM, "cache-control": "no-cache"}
        self._inner = inner
        self._response = response
        self._source = source
        self._name = name
        self._error: ApiError | None = None
        self._is_whole = False
        self._sent_bytes = 0
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def through(
        cls, inner: Reply | ChatReply, end_point: RemoteEndPoint, context: Context, asked: Asked
    ) -> EndPointReply:
        """Begin. Raises ApiError, and has closed the inner answer then."""
        source = Source(inner)
        try:
            response = await end_point.response(inner.headers, source.chunks(), context, asked)
        except BaseException as error:  # also where the client leaves, in the middle of the plugin's work
            leave(inner, error if isinstance(error, ApiError) else None)
            raise
        return cls(inner, response, source, end_point.name)

    @property
    def status(self) -> int:
        """The status for the client."""
        return self._response.status if self._response.status >= FIRST_ERROR else 200

    def is_stream(self, *, wanted: bool) -> bool:
        """Tell whether it goes out piece by piece. wanted: by the client.

        The plugin's own word counts for more: it may have a form that asks for streams in another way.
        """
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.status >= FIRST_ERROR:
            return False
        return kind == STREAM_TYPE or (wanted and kind != JSON_TYPE)

    async def next(self) -> bytes:
        """Return what the plugin has made, b"" at the end. Raises ApiError when it breaks off."""
        try:
            data = await self._response.next()
        except ApiError as error:
            self._error = error
            raise
        self._is_whole = not data
        self._sent_bytes += len(data)
        return data

    async def whole(self) -> Reply:
        """Return the answer in one piece; it is to be closed all the same. Raises ApiError."""
        pieces: list[bytes] = []
        while data := await self.next():
            pieces.append(data)
            if self._sent_bytes > MAX_BODY_BYTES:
                self._error = ApiError(
                    502, f"the transformer {self._name} made more than {MAX_BODY_BYTES} bytes of an answer"
                )
                raise self._error
        return Reply(self.status, b"".join(pieces))

    def close(self) -> None:
        """End the plugin's work and the answer it was given."""
        self._closing = asyncio.ensure_future(self._response.close())
        inner = self._inner
        if isinstance(inner, Reply):
            return
        inner.sent_bytes = self._sent_bytes
        if not self._is_whole:
            leave(inner, self._error)
            return
        inner.is_left = not self._source.is_at_end
        inner.is_finished = True
        inner.close()


class Source:
    """An answer as the plugin reads it."""

    def __init__(self, reply: Reply | ChatReply) -> None:
        self._reply = reply
        self.is_at_end = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give what has arrived, piece by piece. Raises ApiError when it breaks off."""
        if isinstance(self._reply, Reply):
            yield self._reply.body
        else:
            while data := await self._reply.next():
                yield data
        self.is_at_end = True


def leave(inner: Reply | ChatReply, error: ApiError | None) -> None:
    """Close an answer before its end. error: why; None when its client has left."""
    if isinstance(inner, Reply):
        return
    inner.is_left = True
    inner.is_finished = False
    inner.error = error
    inner.close()
