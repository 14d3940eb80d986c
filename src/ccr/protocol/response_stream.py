"""A streamed chat completion in, a streamed response out: one state machine, fed once per upstream read.

What the client gets, for every possible input:

    stream  := response.created response.in_progress item* end
    item    := response.output_item.added … response.output_item.done      see response_items.py
    end     := response.completed        the upstream gave a finish_reason that says the answer is whole
             | response.incomplete       … one that says why it is not: a token limit, a filter
             | response.failed error     everything else; what was open stays open, nothing is made up

Items are numbered 0, 1, 2 … and one is open at a time; ``sequence_number`` has no gaps. What ends the stream
is what ends a `MessageStream`: a finish_reason and then [DONE] or the end of the bytes. Counts may come as
late as [DONE], so the last event waits for it; nothing else waits. After the end every call returns ``b""``.

``response.failed`` is what the API documents; the ``error`` event behind it makes the published clients raise
it, which pass a failed response over. The same machine makes whole answers (`response_from_completion`).
Ids and the time are arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccr.errors import ApiError, ProtocolError
from ccr.protocol.chat_stream import ChatStream
from ccr.protocol.completion_chunks import chunks_from_completion
from ccr.protocol.response_events import Events, Head, encode, error_object, usage_object
from ccr.protocol.response_items import ItemWriter
from ccr.protocol.stream_blocks import Blocks
from ccr.protocol.usage import reasoning_tokens_of, usage_from_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.chat_from_responses import ChatFromResponses
    from ccr.protocol.completion import Delta
    from ccr.protocol.responses_request import ResponsesRequest

_WHOLE: Final = frozenset({"end_turn", "tool_use", "stop_sequence"})
_REASONS: Final = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}
"""``incomplete_details.reason`` of a stop reason; any other is passed on as it is."""


class ResponseStream(ChatStream):
    """One answer.

    request: what was asked, which the response repeats. conversion: what was made of it. response_id: unique.
    created_at: Unix time in seconds. provider, model: whom to name in errors of the upstream. masked: takes
    keys that were sent out of these errors.
    """

    def __init__(
        self,
        request: ResponsesRequest,
        conversion: ChatFromResponses,
        *,
        response_id: str,
        created_at: int,
        provider: str = "upstream",
        model: str = "",
        masked: Callable[[str], str] = str,
    ) -> None:
        self._head = Head(request, response_id, created_at)
        self._events = Events()
        self._items = ItemWriter(
            self._events, response_id, conversion.names, with_reasoning=request.is_reasoning_included
        )
        blocks = Blocks(
            self._items,
            message_id=response_id.removeprefix("resp_"),
            tool_ids=conversion.tool_ids,
            json_tool=None,
            thinking=False,
            keeps_arguments=True,
        )
        super().__init__(blocks, provider=provider, model=model or request.model, masked=masked)
        self._body = b""

    # -- what is known

    @property
    def body(self) -> bytes:
        """The response as the last event has it; ``b""`` before."""
        return self._body

    # -- what goes out

    def start(self) -> bytes:
        """Return the first two events, once."""
        self._start()
        return self._events.take()

    def feed(self, data: bytes) -> bytes:
        """Return the events that one read of the upstream makes."""
        self._start()
        try:
            for event in self._decoder.feed(data) if not self.is_finished else ():
                self._take(event)
        except ProtocolError as error:
            self._break(error)
        return self._events.take()

    def close(self) -> bytes:
        """Return how the stream ends when the upstream has no more bytes."""
        if self.is_finished:
            return b""
        self._start()
        try:
            self._decoder.close()
            self._end()
        except ProtocolError as error:
            self._break(error)
        return self._events.take()

    def fail(self, error: ApiError) -> bytes:
        """Return the events of an error and end the stream; ``b""`` when it has ended already."""
        if self.is_finished:
            return b""
        self._start()
        self._fail(error)
        return self._events.take()

    # -- transitions

    def _start(self) -> None:
        if self._is_started:
            return
        self._is_started = True
        begun = self._head.response("in_progress", [])
        self._events.response(b"response.created", begun)
        self._events.response(b"response.in_progress", begun)

    def _take_delta(self, delta: Delta) -> None:
        if not delta.refusal:
            self._blocks.take(delta)
            return
        self._blocks.take(msgspec.structs.replace(delta, refusal=None))
        self._blocks.finish(is_cut=False)
        self._items.refusal(delta.refusal)

    def _finish_content(self) -> None:
        self._items.is_cut = self.stop_reason not in _WHOLE
        self._blocks.finish(is_cut=self.stop_reason == "max_tokens")
        self._items.end_refusal()

    def _end(self) -> None:
        if not self._finish_reason:
            raise ProtocolError(f"the answer was cut: no finish_reason in {self.event_count} events")
        self._finish_content()
        reason = self.stop_reason or ""
        name, incomplete = "completed", b"null"
        if reason not in _WHOLE:
            name, incomplete = "incomplete", encode({"reason": _REASONS.get(reason, reason)})
        self._body = self._head.response(
            name, self._items.output, usage=self._counts(), incomplete=incomplete
        )
        self._events.response(f"response.{name}".encode(), self._body)
        self.is_finished = True

    def _counts(self) -> bytes:
        if self._usage is None:
            return b"null"
        return usage_object(usage_from_chat(self._usage), reasoning_tokens_of(self._usage))

    def _fail(self, error: ApiError) -> None:
        self.error = error
        self.is_finished = True
        self._body = self._head.response(
            "failed", self._items.output, usage=self._counts(), error=error_object(error)
        )
        self._events.response(b"response.failed", self._body)
        self._events.error(error)


def response_from_completion(data: bytes, stream: ResponseStream) -> bytes:
    """Return the response that a whole chat completion (``data``: the body of a 200) stands for.

    stream: a new one, which knows the rest afterwards. Raises ApiError when the body is an error, or has no
    finish_reason: why an answer ends is never invented.
    """
    stream.feed(chunks_from_completion(data))
    if stream.error is not None:
        raise stream.error
    return stream.body
