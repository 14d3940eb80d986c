"""Going on with a streamed message whose upstream broke off: ``"recover": true`` of a provider.

What is asked and how the rest is joined on is decided in protocol/recovery.py. An answer is gone on with at
most `MAX_RECOVERIES` times; when that does not work out, the client gets the error of the first break, which
it knows how to handle: it asks for the whole answer once more.

An error that the upstream sends in the stream is a break as well when it passes: it is overloaded or in
trouble. What it says of the request or of a limit holds for the rest, too, and goes to the client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ccr.errors import ApiError, UpstreamError
from ccr.gateway.answers import JSON_TYPE
from ccr.protocol.recovery import RULE, Delivered, Splice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.message_reply import Stream
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Route

MAX_RECOVERIES: Final = 2
OPEN_S: Final = 60.0
"""How long the rest may take to begin; nothing goes to the client meanwhile."""


def is_passing(error: ApiError) -> bool:
    """Tell whether an error in a stream is one that asking for the rest may not meet again."""
    return error.status >= 500 and error.should_retry is not False


def recovery_for(
    route: Route, record: Record, ask: Callable[[str], Awaitable[tuple[Incoming, Stream]]]
) -> Recovery | None:
    """Return what goes on with an answer of a route; None where its provider is not to."""
    if not route.provider.network.recover:
        return None

    async def asked(text: str) -> tuple[Incoming, Stream]:
        record.effort.retries_left = 1
        answered_at = record.answered_at
        answer, stream = await ask(text)
        record.answered_at = answered_at
        if answer.content_type == JSON_TYPE:
            answer.close()
            raise UpstreamError(502, f"{record.provider} answered with no stream although one was asked for")
        return answer, stream

    def note(stream: Stream) -> None:
        record.rules += (*stream.rules, RULE)

    return Recovery(asked, note)


class Recovery:
    """The recoveries of one answer. ask: what sends the request for the rest of an answer that began so.

    note: called with a stream that broke off and is gone on with.
    """

    def __init__(
        self, ask: Callable[[str], Awaitable[tuple[Incoming, Stream]]], note: Callable[[Stream], None]
    ) -> None:
        self._ask = ask
        self._note = note
        self._left = MAX_RECOVERIES
        self._delivered = Delivered()
        self._splice: Splice | None = None

    def passed(self, out: bytes) -> bytes:
        """Return events as they go to the client, and remember them."""
        if self._splice is not None:
            out = self._splice.feed(out)
        self._delivered.feed(out)
        return out

    async def rest(self, broken: Stream) -> tuple[Incoming, Stream] | None:
        """Return the answer with the rest and what reads it; None when the message cannot be gone on with."""
        text = self._delivered.text
        if text is None or not self._left:
            return None
        self._left -= 1
        try:
            async with asyncio.timeout(OPEN_S):
                answer, stream = await self._ask(text)
        except (ApiError, TimeoutError):
            return None
        self._splice = Splice(self._delivered)
        self._note(broken)
        return answer, stream
