"""Going on with a streamed message that broke off: what was delivered, what to ask, how to join the rest.

It works on the events that go to the client, so it is the same for both formats of upstreams:

    delivered.feed(events)         reads along; ``delivered.text`` is what may be continued
    continued_chat(chat, text)     the request for the rest (or ``continued_messages``)
    splice.feed(events)            the events of the rest, as the rest of the same message

Only text is continued. Thinking has a signature over all of it, and a tool call that was begun cannot be gone
on with in words. A message of which nothing but ``message_start`` was delivered is simply asked for again.

The rest goes on in the open block: its ``message_start`` and the start of its first text block are left out,
later blocks are numbered on. Its counts are its own: what was delivered before is part of its input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccr.protocol.message_events import event_bytes, with_index
from ccr.protocol.sse import Decoder

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.protocol.sse import Event
    from ccr.protocol.traits import ModelTraits

RULE: Final = "answer_continued"
"""Name of the rule, in logs, metrics and docs/translation.md."""
INSTRUCTION: Final = (
    "Your answer above was cut off by a failure of the network. Go on exactly where it stops, in the middle "
    "of a word if that is where it stops. Do not repeat any of it, do not comment on the interruption."
)
_WHITESPACE: Final = " \t\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Block(msgspec.Struct, gc=False):
    type: str = ""


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""


class _EventData(msgspec.Struct, gc=False):
    index: int = 0
    content_block: _Block = msgspec.field(default_factory=_Block)
    delta: _Delta = msgspec.field(default_factory=_Delta)


_DATA: Final = msgspec.json.Decoder(_EventData)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Delivered:
    """What of a message has gone to the client."""

    def __init__(self) -> None:
        self.open_index: int | None = None
        """The block that is open; None when none is."""
        self.next_index = 0
        self._decoder = Decoder()
        self._pieces: list[str] = []
        self._is_text_alone = True

    @property
    def text(self) -> str | None:
        """The text that can be gone on with, "" when there is none yet; None when it cannot be."""
        return "".join(self._pieces) if self._is_text_alone else None

    def feed(self, data: bytes) -> None:
        """Read the events that go out."""
        for event in self._decoder.feed(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        match event.event:
            case "content_block_start":
                read = _DATA.decode(event.data)
                self.open_index = read.index
                self.next_index = read.index + 1
                self._is_text_alone &= read.content_block.type == "text"
            case "content_block_delta":
                self._pieces.append(_DATA.decode(event.data).delta.text)
            case "content_block_stop":
                self.open_index = None
            case "message_delta" | "message_stop" | "error":
                self._is_text_alone = False  # it is complete, or its end has been told


class Splice:
    """Makes the events of the rest those of the message before, whatever read they come in."""

    def __init__(self, delivered: Delivered) -> None:
        text = delivered.text or ""
        self._decoder = Decoder()
        self._open_index = delivered.open_index
        self._shift = delivered.next_index if self._open_index is None else self._open_index
        self._repeated = text[len(text.rstrip(_WHITESPACE)) :]

    def feed(self, data: bytes) -> bytes:
        """Return the events as they go to the client."""
        return b"".join([self._taken(event) for event in self._decoder.feed(data)])

    def _taken(self, event: Event) -> bytes:
        if event.event == "message_start":
            return b""
        if not event.event.startswith("content_block_"):
            return event_bytes(event.event, event.data)
        read = _DATA.decode(event.data)
        if event.event == "content_block_start" and self._open_index is not None:
            index, self._open_index = self._open_index, None
            if read.content_block.type == "text":
                return b""
            self._shift += 1
            stop = event_bytes("content_block_stop", b'{"type":"content_block_stop","index":%d}' % index)
            return stop + self._numbered(event, read.index)
        if read.delta.type == "text_delta" and self._repeated and read.delta.text:
            return self._without_repeated(read)
        return self._numbered(event, read.index)

    def _without_repeated(self, read: _EventData) -> bytes:
        """Leave out the white space that was delivered already: a prefill must not end with it."""
        text = read.delta.text
        while text and self._repeated and text[0] == self._repeated[0]:
            text, self._repeated = text[1:], self._repeated[1:]
        if not text:
            return b""
        self._repeated = ""
        data = b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}'
        return event_bytes("content_block_delta", data % (read.index + self._shift, _encode(text)))

    def _numbered(self, event: Event, index: int) -> bytes:
        if not self._shift:
            return event_bytes(event.event, event.data)
        return event_bytes(event.event, with_index(event.data, index + self._shift))


def continued_chat(chat: ChatRequest, text: str, *, is_prefill: bool) -> ChatRequest:
    """Return the chat request for the rest of an answer that began with ``text``.

    is_prefill: the model goes on with an assistant message at the end; others are told to.
    """
    said = text.rstrip(_WHITESPACE)
    if not said:
        return chat
    more: list[ChatMessage] = [{"role": "assistant", "content": said}]
    continued = chat.copy()
    if is_prefill:
        continued.pop("thinking", None)
        continued.pop("reasoning_effort", None)
    else:
        more.append({"role": "user", "content": INSTRUCTION})
    continued["messages"] = [*chat["messages"], *more]
    return continued


def continued_messages(body: bytes, text: str, *, is_prefill: bool) -> bytes:
    """Return the same of a Messages request (a body that was sent before, so it is one)."""
    said = text.rstrip(_WHITESPACE)
    if not said:
        return body
    values = _OBJECT.decode(body)
    more: list[object] = [{"role": "assistant", "content": said}]
    if is_prefill:
        values.pop("thinking", None)
    else:
        more.append({"role": "user", "content": INSTRUCTION})
    messages = [*_ITEMS.decode(values["messages"]), *more]
    return _encode({**values, "messages": messages})


def takes_prefill(traits: ModelTraits) -> bool:
    """Tell whether a model goes on with an assistant message at the end; adaptive ones refuse it."""
    return traits.family == "claude" and "adaptive" not in traits.thinking and not traits.always_thinks
