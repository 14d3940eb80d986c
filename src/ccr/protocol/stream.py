"""A streamed chat completion in, a streamed message out: one state machine, fed once per upstream read.

What the client gets, for every possible input:

    stream  := message_start (block | ping)* end
    block   := content_block_start content_block_delta* content_block_stop
    end     := message_delta message_stop     the upstream gave a finish_reason
             | error                          everything else; nothing is closed as if it were complete

Blocks are numbered 0, 1, 2 … and one is open at a time.

What ends the stream:

    finish_reason, then [DONE] or the end of the bytes    success
    [DONE] or the end of the bytes without it             error: no stop reason is invented
    an error in place of a chunk, or no chunk at all      error, after everything that came before
    fail()                                                the caller's error

Counts may come as late as [DONE], so message_delta waits for it; nothing else waits.

After the end every call returns ``b""``. Blocks are described in stream_blocks.py, events in
message_events.py. Ids are arguments; there is no clock here: the caller decides when the upstream is silent
(``keep_alive``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.errors import ProtocolError
from ccr.protocol import message_events
from ccr.protocol.chat_stream import ChatStream
from ccr.protocol.stream_blocks import Blocks
from ccr.protocol.usage import Usage, usage_from_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.errors import ApiError


class MessageStream(ChatStream):
    """One answer.

    message_id: unique id of the message. model: the name the client asked for, which it gets back.
    tool_ids: ids of the tool_use blocks in the history. json_tool: the tool whose arguments are the
    answer's text. thinking: the client asked for thinking. provider: whom to name in errors of the
    upstream. masked: takes keys that were sent out of these errors.
    """

    def __init__(
        self,
        *,
        message_id: str,
        model: str,
        tool_ids: frozenset[str] = frozenset(),
        json_tool: str | None = None,
        thinking: bool = False,
        provider: str = "upstream",
        masked: Callable[[str], str] = str,
    ) -> None:
        self._writer = message_events.EventWriter()
        blocks = Blocks(
            self._writer, message_id=message_id, tool_ids=tool_ids, json_tool=json_tool, thinking=thinking
        )
        super().__init__(blocks, provider=provider, model=model, masked=masked)
        self.error_event = b""
        """The event that told the error: the last that went out, behind all others."""
        self._message_id = message_id

    # -- what is known

    @property
    def usage(self) -> Usage | None:
        """Counts reported so far; None while there are none."""
        return usage_from_chat(self._usage) if self._usage is not None else None

    # -- what goes out

    def start(self) -> bytes:
        """Return ``message_start``, once; call it as soon as the upstream accepted the request."""
        if self._is_started or self.is_finished:
            return b""
        self._is_started = True
        return message_events.message_start(self._message_id, self._model)

    def feed(self, data: bytes) -> bytes:
        """Return the events that one read of the upstream makes."""
        start = self.start()
        if self.is_finished:
            return b""
        try:
            for event in self._decoder.feed(data):
                self._take(event)
        except ProtocolError as error:
            self._break(error)
        return start + self._writer.take()

    def close(self) -> bytes:
        """Return how the stream ends when the upstream has no more bytes."""
        start = self.start()
        if self.is_finished:
            return b""
        try:
            self._decoder.close()
            self._end()
        except ProtocolError as error:
            self._break(error)
        return start + self._writer.take()

    def fail(self, error: ApiError) -> bytes:
        """Return the ``error`` event and end the stream; ``b""`` when it has ended already."""
        if self.is_finished:
            return b""
        self._fail(error)
        return self._writer.take()

    def keep_alive(self) -> bytes:
        """Return an event that resets the client's idle watchdog: an empty delta (``ping`` does not)."""
        start = self.start()
        if self.is_finished:
            return b""
        if self._finish_reason:
            return self.ping()  # all blocks are closed; another one would only add an empty block
        self._blocks.keep_alive()
        return start + self._writer.take()

    def ping(self) -> bytes:
        """Return a ``ping``: keeps connections open, shows the client nothing."""
        return b"" if self.is_finished else self.start() + message_events.PING

    # -- transitions

    def _finish_content(self) -> None:
        self._blocks.finish(is_cut=self.stop_reason == "max_tokens")

    def _end(self) -> None:
        stop_reason = self.stop_reason
        if stop_reason is None:
            raise ProtocolError(f"the answer was cut: no finish_reason in {self.event_count} events")
        self._blocks.finish(is_cut=stop_reason == "max_tokens")
        # Content after the finish_reason may have brought a tool call: the reason is looked up once more.
        self._writer.write(message_events.message_delta(self.stop_reason or stop_reason, self.usage))
        self._writer.write(message_events.MESSAGE_STOP)
        self.is_finished = True

    def _fail(self, error: ApiError) -> None:
        self.error = error
        self.is_finished = True
        self.error_event = message_events.error_event(error)
        self._writer.write(self.error_event)
