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

from ccr.errors import ApiError, ProtocolError, UpstreamError
from ccr.protocol.completion import decode_chunk
from ccr.protocol.completion_chunks import chunks_from_completion
from ccr.protocol.errors_from_upstream import error_in_answer
from ccr.protocol.response_events import Events, Head, encode, error_object, usage_object
from ccr.protocol.response_items import ItemWriter
from ccr.protocol.response_rules import ResponseRule
from ccr.protocol.sse import DONE, Decoder, Event
from ccr.protocol.stop_reasons import is_known_finish_reason, stop_reason_from_finish_reason
from ccr.protocol.stream_blocks import Blocks
from ccr.protocol.usage import ChatUsage, merged, reasoning_tokens_of, usage_from_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.call_extras import Extras
    from ccr.protocol.chat_from_responses import ChatFromResponses
    from ccr.protocol.completion import Delta
    from ccr.protocol.responses_request import ResponsesRequest

_WHOLE: Final = frozenset({"end_turn", "tool_use", "stop_sequence"})
_REASONS: Final = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}
"""``incomplete_details.reason`` of a stop reason; any other is passed on as it is."""


class ResponseStream:
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
        self.error: ApiError | None = None
        self.is_finished = False
        self._head = Head(request, response_id, created_at)
        self._provider = provider
        self._model = model or request.model
        self._masked = masked
        self._decoder = Decoder()
        self._events = Events()
        self._items = ItemWriter(
            self._events, response_id, conversion.names, with_reasoning=request.is_reasoning_included
        )
        self._blocks = Blocks(
            self._items,
            message_id=response_id.removeprefix("resp_"),
            tool_ids=conversion.tool_ids,
            json_tool=None,
            thinking=False,
            keeps_arguments=True,
        )
        self._is_started = False
        self._finish_reason = ""
        self._usage: ChatUsage | None = None
        self._body = b""
        self._event_count = 0

    # -- what is known

    @property
    def stop_reason(self) -> str | None:
        """Why the answer ended, in the Messages API's words; None before the upstream said so."""
        if not self._finish_reason:
            return None
        return stop_reason_from_finish_reason(self._finish_reason, has_tool_use=self._blocks.has_tool_use)

    @property
    def is_ending(self) -> bool:
        """The answer is complete, whatever may follow: ``close`` ends well."""
        return bool(self._finish_reason)

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules applied so far."""
        return self._blocks.rules.names()

    @property
    def call_extras(self) -> dict[str, Extras]:
        """What stood beside the tool calls, by their ids."""
        return self._blocks.call_extras

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

    def _take(self, event: Event) -> None:
        if self.is_finished:
            return
        data = event.data
        self._event_count += 1
        if data.strip() == DONE:
            self._end()
            return
        if event.event == "error":
            self._fail(self._reported(data))
            return
        chunk = decode_chunk(data)
        if chunk.is_repaired:
            self._blocks.rules.add(ResponseRule.HALF_SURROGATE_REPLACED)
        if chunk.usage is not None:
            self._usage = merged(self._usage, chunk.usage)
        if chunk.is_error:
            self._fail(self._reported(data))
            return
        for choice in chunk.choices or ():
            delta = choice.delta or choice.message
            if delta is not None:
                self._take_delta(delta)
            if choice.finish_reason:
                self._finish(choice.finish_reason)

    def _take_delta(self, delta: Delta) -> None:
        if not delta.refusal:
            self._blocks.take(delta)
            return
        self._blocks.take(msgspec.structs.replace(delta, refusal=None))
        self._blocks.finish(is_cut=False)
        self._items.refusal(delta.refusal)

    def _finish(self, finish_reason: str) -> None:
        self._finish_reason = finish_reason
        if not is_known_finish_reason(finish_reason):
            self._blocks.rules.add(ResponseRule.FINISH_REASON_UNKNOWN)
        self._finish_items()

    def _finish_items(self) -> None:
        self._items.is_cut = self.stop_reason not in _WHOLE
        self._blocks.finish(is_cut=self.stop_reason == "max_tokens")
        self._items.end_refusal()

    def _end(self) -> None:
        if not self._finish_reason:
            raise ProtocolError(f"the answer was cut: no finish_reason in {self._event_count} events")
        self._finish_items()
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

    def _reported(self, data: bytes) -> UpstreamError:
        return error_in_answer(data, provider=self._provider, model=self._model, masked=self._masked)

    def _break(self, error: ProtocolError) -> None:
        self._fail(UpstreamError(502, f"{self._provider}, {self._model}: {error}"))

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
