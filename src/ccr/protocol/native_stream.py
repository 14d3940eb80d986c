"""A streamed message of the native endpoint: its bytes go to the client as they are, and are read along.

    relayed := event* end
    end     := message_stop     the upstream's own; nothing is relayed behind it
             | error            the upstream's own; or ours: the bytes ended without message_stop, fail()

Four events are not what the upstream sent: ``message_start`` names the model the client asked for, Bedrock's
key ``amazon-bedrock-invocationMetrics`` is taken out of any event, an error that is not in the shape of the
Messages API is put into it, because the client sees no other, and an event without a name gets the one that
its data has, because the client passes it over.

An event is relayed once it is whole. Upstream reads end where events end, so that a read usually goes out as
the very same bytes object; the beginning of an event that was cut waits for its end, or is never seen. That
is why ``ping`` and ``keep_alive`` always fall between events.

Reading along never stands in the way: an event whose JSON cannot be read is relayed like any other. The JSON
of content deltas is not parsed. The grammar inside the stream is the upstream's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccr.errors import ApiError, ProtocolError, UpstreamError
from ccr.protocol import message_events
from ccr.protocol.errors_from_upstream import error_in_answer
from ccr.protocol.native_framing import Framer, frames
from ccr.protocol.native_json import OBJECT, encode, raw
from ccr.protocol.native_message import (
    METRICS_DROPPED,
    METRICS_KEY,
    UNREADABLE,
    MessageUsage,
    usage_after,
    with_model,
    without_metrics,
)
from ccr.protocol.redaction import redacted
from ccr.protocol.sse import Decoder, Event
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

_METRICS: Final = METRICS_KEY.encode()
_OVERFLOW: Final = "prompt is too long"
_PLAIN_EVENTS: Final = frozenset(
    {"content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping"}
)
"""Events that are relayed as they are, and that others may follow."""
_NAMES: Final = _PLAIN_EVENTS | {"message_start", "message_stop", "error"}
_UNREAD_EVENTS: Final = frozenset({"content_block_delta", "ping"})
_EMPTY_DELTAS: Final = {
    "text": b'"text_delta","text":""',
    "thinking": b'"thinking_delta","thinking":""',
    "tool_use": b'"input_json_delta","partial_json":""',
}


class _Started(msgspec.Struct, gc=False):
    usage: MessageUsage | None = None


class _Block(msgspec.Struct, gc=False):
    type: str = ""


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _EventData(msgspec.Struct, gc=False):
    """What is read of an event; all of it may be missing."""

    type: str = ""
    message: _Started = msgspec.field(default_factory=_Started)
    index: int = 0
    content_block: _Block = msgspec.field(default_factory=_Block)
    delta: _Delta = msgspec.field(default_factory=_Delta)
    usage: MessageUsage | None = None


_EVENT_DATA: Final = msgspec.json.Decoder(_EventData)


class NativeTap:
    """One answer; to its caller the same as a ``MessageStream``.

    model: the name the client asked for, which it gets back. provider: whom to name in errors. masked: takes
    keys that were sent out of these.
    """

    def __init__(self, *, model: str, provider: str = "upstream", masked: Callable[[str], str] = str) -> None:
        self.error: ApiError | None = None
        self.error_event = b""
        """The event that told the error: the last that went out, behind all others."""
        self.is_finished = False
        self.stop_reason: str | None = None
        self.usage: Usage | None = None
        """Counts reported so far; None while there are none."""
        self.event_count = 0
        """Events received from the upstream."""
        self.rules: tuple[str, ...] = ()
        """Names of the rules applied so far."""
        self._model = model
        self._provider = provider
        self._masked = masked
        self._framer = Framer()
        self._decoder = Decoder()
        self._open_block: tuple[int, str] | None = None

    @property
    def is_ending(self) -> bool:
        """False: an answer is complete with its ``message_stop``, and finished then."""
        return False

    def start(self) -> bytes:
        """Return b"": the stream begins with the upstream's own ``message_start``."""
        return b""

    def feed(self, data: bytes) -> bytes:
        """Return what one read of the upstream lets out."""
        if self.is_finished:
            return b""
        try:
            return self._relayed(self._framer.feed(data))
        except ProtocolError as error:
            return self.fail(self._cut(str(error)))

    def close(self) -> bytes:
        """Return how the stream ends when the upstream has no more bytes; b"" when it has ended itself."""
        if self.is_finished:
            return b""
        rest = self._relayed(self._framer.close())
        return rest + self.fail(self._cut(f"no message_stop in {self.event_count} events"))

    def fail(self, error: ApiError) -> bytes:
        """Return the ``error`` event and end the stream; b"" when it has ended already."""
        if self.is_finished:
            return b""
        self._finish(error)
        self.error_event = message_events.error_event(error)
        return self.error_event

    def keep_alive(self) -> bytes:
        """Return an event that resets the client's idle watchdog: an empty delta (``ping`` does not).

        Where no block is open that takes one, a ``ping`` is all there is to send.
        """
        index, kind = self._open_block or (0, "")
        delta = _EMPTY_DELTAS.get(kind)
        if self.is_finished or delta is None:
            return self.ping()
        return (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":%b}}\n\n' % (index, delta)
        )

    def ping(self) -> bytes:
        """Return a ``ping``: keeps connections open, shows the client nothing."""
        return b"" if self.is_finished else message_events.PING

    # -- relaying

    def _relayed(self, whole: bytes) -> bytes:
        """Return whole events as they go out: the same bytes object when none of them is special."""
        events = self._decoder.feed(whole)
        if _METRICS not in whole and all(event.event in _PLAIN_EVENTS for event in events):
            for event in events:
                self._read(event.event, event)
            return whole
        return b"".join(self._relayed_frame(frame) for frame in frames(whole))

    def _relayed_frame(self, frame: bytes) -> bytes:
        if self.is_finished:
            return b""
        events = Decoder().feed(frame)
        if not events:  # a comment
            return frame
        event = events[0]
        name = event.event or _event_data(event).type
        if not event.event and name in _NAMES:
            frame = b"event: %b\n%b" % (name.encode(), frame.lstrip(b"\r\n"))
        self._read(name, event)
        if self.error is not None:
            self.error_event = self._error_frame(frame, event, self.error)
            return self.error_event
        if name != "message_start" and _METRICS not in event.data:
            return frame
        data = self._edited(event.data, has_model=name == "message_start")
        if data == event.data:
            return frame
        if event.data in frame:
            return frame.replace(event.data, data, 1)
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)  # its data was written in several lines

    def _edited(self, data: bytes, *, has_model: bool) -> bytes:
        try:
            given = OBJECT.decode(data)
            event = without_metrics(given)
            if event is not given:
                self.rules = (METRICS_DROPPED,)
            if has_model and "message" in event:
                message = with_model(OBJECT.decode(event["message"]), self._model)
                event = {**event, "message": raw(message)}
        except UNREADABLE:
            return data
        return data if event is given else encode(event)

    def _error_frame(self, frame: bytes, event: Event, error: ApiError) -> bytes:
        is_in_shape = event.event == "error" and _event_data(event).type == "error"
        if is_in_shape and not error.message.startswith(_OVERFLOW):
            text = frame.decode("utf-8", "surrogateescape")
            return redacted(self._masked(text)).encode("utf-8", "surrogateescape")
        return message_events.error_event(error)

    # -- reading along

    def _read(self, name: str, event: Event) -> None:
        self.event_count += 1
        if name in _UNREAD_EVENTS:
            return
        if name == "content_block_stop":
            self._open_block = None
        elif name == "message_stop":
            self._finish(None)
        elif _is_error(name, event):
            self._finish(
                error_in_answer(event.data, provider=self._provider, model=self._model, masked=self._masked)
            )
        else:
            self._take_note(name, _event_data(event))

    def _take_note(self, name: str, data: _EventData) -> None:
        if name == "content_block_start":
            self._open_block = (data.index, data.content_block.type)
        elif name == "message_start":
            self._count(data.message.usage)
        elif name == "message_delta":
            self._count(data.usage)
            self.stop_reason = data.delta.stop_reason or self.stop_reason

    def _count(self, counts: MessageUsage | None) -> None:
        if counts is not None:
            self.usage = usage_after(self.usage or Usage(), counts)

    def _finish(self, error: ApiError | None) -> None:
        self.error = error
        self.is_finished = True

    def _cut(self, what: str) -> UpstreamError:
        return UpstreamError(502, f"{self._provider}, {self._model}: the answer was cut: {what}")


def _event_data(event: Event) -> _EventData:
    try:
        return _EVENT_DATA.decode(event.data)
    except UNREADABLE:
        return _EventData()


def _is_error(name: str, event: Event) -> bool:
    """Tell whether an event is an error: named so, or without any name and in Databricks' own shape."""
    if name:
        return name == "error"
    try:
        return not OBJECT.decode(event.data).keys().isdisjoint(("error", "error_code"))
    except UNREADABLE:
        return False
