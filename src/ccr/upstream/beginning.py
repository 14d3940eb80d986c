"""How a stream begins: an error in place of its first event counts as the status it stands for.

A provider that is full or down may notice that only after the head of its answer is out. Nothing has reached
the client then, so such an answer is a refusal like any other: it is sent again, by another key, repaired, or
goes to the next route. Whoever reads it finds the error's status and its JSON as the body. One that ends
before its first event may have been worked on: it counts as a failure of the upstream, and is not sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import ProtocolError
from ccr.protocol.error_bodies import error_in_event
from ccr.protocol.errors_from_upstream import status_of_error
from ccr.protocol.sse import Decoder

if TYPE_CHECKING:
    from ccr.protocol.sse import Event
    from ccr.upstream.answer import Answer

STREAM_TYPE: Final = "text/event-stream"
MAX_EVENT_BYTES: Final = 64 * 1024
"""A first event that is larger is none of a failure."""


async def begun(answer: Answer, timeout_s: float) -> None:
    """Return when the stream has begun, or after ``timeout_s``; make one that begins with an error a refusal.

    All of the answer can still be read. Answers that are no stream, and refusals, are left alone.
    """
    if answer.status != 200 or answer.content_type != STREAM_TYPE:
        return
    decoder = Decoder(max_event_bytes=MAX_EVENT_BYTES)
    first: list[Event] = []

    def has_begun(data: bytes) -> bool:
        try:
            first.extend(decoder.feed(data)[:1])
        except ProtocolError:
            return True
        return bool(first)

    await answer.wait(has_begun, timeout_s=timeout_s)
    said = error_in_event(first[0]) if first else None
    if said is not None:
        answer.refuse(status_of_error(said), said)
