"""What a streamed chat completion says, event by event, whatever is made of it.

`MessageStream` and `ResponseStream` are the two that make something of it: they say how their answers begin,
end and fail. Pure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ccr.errors import UpstreamError
from ccr.protocol.completion import decode_chunk
from ccr.protocol.errors_from_upstream import error_in_answer
from ccr.protocol.response_rules import ResponseRule
from ccr.protocol.sse import DONE, Decoder, Event
from ccr.protocol.stop_reasons import is_known_finish_reason, stop_reason_from_finish_reason
from ccr.protocol.usage import ChatUsage, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.errors import ApiError, ProtocolError
    from ccr.protocol.call_extras import Extras
    from ccr.protocol.completion import Delta
    from ccr.protocol.stream_blocks import Blocks


class ChatStream(ABC):
    """One answer, read.

    blocks: where its content goes. provider, model: whom to name in errors of the upstream. masked: takes
    keys that were sent out of these errors.
    """

    def __init__(self, blocks: Blocks, *, provider: str, model: str, masked: Callable[[str], str]) -> None:
        self.error: ApiError | None = None
        self.is_finished = False
        self.event_count = 0
        """Events received from the upstream."""
        self._blocks = blocks
        self._provider = provider
        self._model = model
        self._masked = masked
        self._decoder = Decoder()
        self._is_started = False
        self._finish_reason = ""
        self._usage: ChatUsage | None = None

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

    def _take(self, event: Event) -> None:
        if self.is_finished:
            return
        data = event.data
        self.event_count += 1
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
        self._blocks.take(delta)

    def _finish(self, finish_reason: str) -> None:
        self._finish_reason = finish_reason
        if not is_known_finish_reason(finish_reason):
            self._blocks.rules.add(ResponseRule.FINISH_REASON_UNKNOWN)
        self._finish_content()

    def _reported(self, data: bytes) -> UpstreamError:
        return error_in_answer(data, provider=self._provider, model=self._model, masked=self._masked)

    def _break(self, error: ProtocolError) -> None:
        self._fail(UpstreamError(502, f"{self._provider}, {self._model}: {error}"))

    @abstractmethod
    def _finish_content(self) -> None:
        """End what is open; more may follow all the same."""

    @abstractmethod
    def _end(self) -> None:
        """End the answer well. Raises ProtocolError where it had no finish_reason."""

    @abstractmethod
    def _fail(self, error: ApiError) -> None:
        """End the answer with an error."""
