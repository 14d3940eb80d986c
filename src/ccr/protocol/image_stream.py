"""The streams of several rounds as one streamed message, without the calls that its client must not see.

It reads the events that would go to the client, so it is the same for both formats of upstreams:

    joined.feed(events)        the events of a round, as they go out
    joined.round               what the round said, once it has ended
    joined.again()             the next events are those of the next round
    joined.end()               how the message ends, where that was held back

What goes out keeps the grammar of one message (message_events.py): one ``message_start``, blocks numbered
without gaps, one ``message_delta`` with the counts of all rounds, one ``message_stop``. Blocks go out as they
come; only the end of a round that called the tool is held back. The answer to a request that took one round
goes out as it came. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from ccr.protocol import message_events
from ccr.protocol.image_rounds import Iteration, Round, is_call_of, string_of, usage_with
from ccr.protocol.message_events import event_bytes, with_index
from ccr.protocol.native_json import OBJECT, JsonObject, encode, raw
from ccr.protocol.native_message import UNREADABLE, MessageUsage, usage_after
from ccr.protocol.sse import Decoder, Event
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from ccr.errors import ApiError

_PIECES: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Started(msgspec.Struct, gc=False):
    usage: MessageUsage | None = None


class _EventData(msgspec.Struct, gc=False):
    """What is read of an event; all of it may be missing."""

    index: int = 0
    content_block: JsonObject = msgspec.field(default_factory=dict)
    delta: _Delta = msgspec.field(default_factory=_Delta)
    message: _Started = msgspec.field(default_factory=_Started)
    usage: MessageUsage | None = None


_DATA: Final = msgspec.json.Decoder(_EventData)


class _Block:
    """One block of a round. index: under which it went out, None where it did not."""

    def __init__(self, given: JsonObject, index: int | None) -> None:
        self.index = index
        self._given = given
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: _Delta) -> None:
        key = _PIECES.get(delta.type)
        if key is not None:
            self._pieces.setdefault(key, []).append(getattr(delta, key))

    def whole(self) -> JsonObject:
        block = self._given
        for key, pieces in self._pieces.items():
            text = "".join(pieces)
            if key != "partial_json":
                block = {**block, key: raw(string_of(block.get(key)) + text)}
            elif text:
                block = {**block, "input": _input(text)}
        return block


class JoinedStream:
    """The message that a client gets. tool: the name of the tool whose calls it must not see."""

    def __init__(self, tool: str) -> None:
        self.is_finished = False
        """Nothing follows: the message or an error has ended it."""
        self.iterations: list[Iteration] = []
        """The requests that the message took: of each round when it has ended, and whatever was added."""
        self._tool = tool
        self._is_started = False
        self._next_index = 0
        self._filler: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._decoder = Decoder()
        self._blocks: list[_Block] = []
        self._open: dict[int, _Block] = {}
        self._usage = Usage()
        self._stop_reason: str | None = None
        self._delta: bytes | None = None
        self._stop: bytes = message_events.MESSAGE_STOP
        self._is_counted = False

    @property
    def round(self) -> Round:
        """What the round has said."""
        return Round([block.whole() for block in self._blocks], self._stop_reason, self._usage, self._tool)

    @property
    def is_held(self) -> bool:
        """Whether a round has ended whose end was held back."""
        return self._delta is not None

    def feed(self, data: bytes) -> bytes:
        """Return the events of a round as they go to the client."""
        return b"".join([self._taken(event) for event in self._decoder.feed(data)])

    def again(self) -> None:
        """Leave out the end that was held back: the events of the next round follow."""
        self._begin()

    def text(self, text: str) -> bytes:
        """Return a text block of our own."""
        out, index = self._text_opened()
        self._filler = None
        return out + _text_delta(index, text) + _stop(index)

    def end(self) -> bytes:
        """Return the end that was held back."""
        data, self._delta = self._delta or b"", None
        self.is_finished = True
        return self._closed_filler() + self._message_delta(data) + self._stop

    def fail(self, error: ApiError) -> bytes:
        """Return the ``error`` event that ends the message."""
        self.is_finished = True
        return message_events.error_event(error)

    def ping(self) -> bytes:
        """Return a ``ping``."""
        return message_events.PING

    def keep_alive(self) -> bytes:
        """Return an empty delta, which is a sign of life to the client, between two rounds.

        The block it needs stays open: the text of the next round goes on in it.
        """
        out, self._filler = self._text_opened()
        return out + _text_delta(self._filler, "")

    def _text_opened(self) -> tuple[bytes, int]:
        if self._filler is not None:
            return b"", self._filler
        index = self._next()
        return _start(index), index

    def _next(self) -> int:
        index = self._next_index
        self._next_index += 1
        return index

    def _closed_filler(self) -> bytes:
        if self._filler is None:
            return b""
        index, self._filler = self._filler, None
        return _stop(index)

    # -- one event

    def _taken(self, event: Event) -> bytes:
        if self.is_finished:
            return b""
        match event.event:
            case "message_start":
                self._usage = usage_after(self._usage, _read(event).message.usage or MessageUsage())
                is_first, self._is_started = not self._is_started, True
                return event_bytes(event.event, event.data) if is_first else b""
            case "content_block_start":
                return self._started(event)
            case "content_block_delta" | "content_block_stop":
                return self._gone_on(event)
            case "message_delta":
                return self._ending(event)
            case "message_stop":
                return self._ended(event)
            case "error":
                self.is_finished = True
        return event_bytes(event.event, event.data)

    def _started(self, event: Event) -> bytes:
        read = _read(event)
        given = read.content_block
        if is_call_of(given, self._tool):
            self._place(read.index, _Block(given, None))
            return b""
        if self._filler is not None and string_of(given.get("type")) == "text":
            index, self._filler = self._filler, None
            self._place(read.index, _Block(given, index))
            text = string_of(given.get("text"))
            return _text_delta(index, text) if text else b""
        before = self._closed_filler()
        index = self._next()
        self._place(read.index, _Block(given, index))
        return before + _numbered(event, index, read.index)

    def _place(self, index: int, block: _Block) -> None:
        self._blocks.append(block)
        self._open[index] = block

    def _gone_on(self, event: Event) -> bytes:
        read = _read(event)
        block = self._open.get(read.index)
        if block is None:
            return b""  # of no block: the upstream's grammar is broken
        if event.event == "content_block_stop":
            del self._open[read.index]
        else:
            block.add(read.delta)
        return b"" if block.index is None else _numbered(event, block.index, read.index)

    def _ending(self, event: Event) -> bytes:
        read = _read(event)
        self._usage = usage_after(self._usage, read.usage or MessageUsage())
        self._stop_reason = read.delta.stop_reason or self._stop_reason
        if self._is_counted:
            self.iterations.pop()
        self.iterations.append(Iteration(self._usage))
        self._is_counted = True
        if any(block.index is None for block in self._blocks):
            self._delta = event.data
            return b""
        return self._closed_filler() + self._message_delta(event.data)

    def _message_delta(self, data: bytes) -> bytes:
        if len(self.iterations) > 1:
            values = OBJECT.decode(data)
            data = encode({**values, "usage": usage_with(values.get("usage"), self.iterations)})
        return event_bytes("message_delta", data)

    def _ended(self, event: Event) -> bytes:
        stop = event_bytes(event.event, event.data)
        if self._delta is not None:
            self._stop = stop
            return b""
        self.is_finished = True
        return stop


def _read(event: Event) -> _EventData:
    try:
        return _DATA.decode(event.data)
    except UNREADABLE:
        return _EventData()


def _input(text: str) -> Raw:
    """Return the arguments of a call; an empty object in place of what is none."""
    try:
        OBJECT.decode(text)
    except UNREADABLE:
        return raw({})
    return Raw(text)


def _numbered(event: Event, index: int, given: int) -> bytes:
    if index == given:
        return event_bytes(event.event, event.data)
    return event_bytes(event.event, with_index(event.data, index))


def _start(index: int) -> bytes:
    data = b'{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":""}}'
    return event_bytes("content_block_start", data % index)


def _text_delta(index: int, text: str) -> bytes:
    data = b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}'
    return event_bytes("content_block_delta", data % (index, encode(text)))


def _stop(index: int) -> bytes:
    return event_bytes("content_block_stop", b'{"type":"content_block_stop","index":%d}' % index)
