"""The events of a streamed message, as the bytes of server-sent events.

    message_start
    (content_block_start content_block_delta* content_block_stop)*
    message_delta message_stop, or: error
    and anywhere: ping

Every event has an ``event:`` line (the client does not see events without one), and its JSON is one line.
Only the varying text goes through a JSON encoder; what surrounds it is written by hand: a delta costs
about 1 µs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ccr.errors import ApiError
    from ccr.protocol.usage import Usage

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_encode: Final = msgspec.json.Encoder().encode
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def event_bytes(name: str, data: bytes) -> bytes:
    """Return an event of whatever name."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def with_index(data: bytes, index: int) -> bytes:
    """Return the data of a content block's event with another number of the block."""
    return _encode({**_OBJECT.decode(data), "index": index})


def message_start(message_id: str, model: str) -> bytes:
    """Return ``message_start``; its counts are zeros, the true ones come with ``message_delta``."""
    return (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":%b,"type":"message",'
        b'"role":"assistant","model":%b,"content":[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        b'"output_tokens":0}}}\n\n' % (_encode(message_id), _encode(model))
    )


def message_delta(stop_reason: str, usage: Usage | None) -> bytes:
    """Return ``message_delta``; without any reported usage it has only the required ``output_tokens``, 0."""
    counts = b'{"output_tokens":0}' if usage is None else _encode(usage)
    return (
        b'event: message_delta\ndata: {"type":"message_delta",'
        b'"delta":{"stop_reason":%b,"stop_sequence":null},"usage":%b}\n\n' % (_encode(stop_reason), counts)
    )


def error_event(error: ApiError) -> bytes:
    """Return the ``error`` event; nothing may follow it."""
    return b'event: error\ndata: {"type":"error","error":{"type":%b,"message":%b}}\n\n' % (
        _encode(error.error_type),
        _encode(error.message),
    )


class EventWriter:
    """Writes content blocks as events, strictly one after the other; ``take`` hands out what was written.

    It is the writer of ``stream_blocks.Blocks``: it numbers the blocks, the caller opens and closes them in
    order.
    """

    def __init__(self) -> None:
        self._index = 0
        self._delta_prefix = b""
        self._written: list[bytes] = []

    def take(self) -> bytes:
        """Return what was written since the last call."""
        if not self._written:
            return b""
        data = b"".join(self._written)
        self._written.clear()
        return data

    def write(self, event: bytes) -> None:
        """Write an event that belongs to no block."""
        self._written.append(event)

    def start_text(self) -> None:
        """Open a text block."""
        self._start(b'{"type":"text","text":""}', b'"text_delta","text":')

    def start_thinking(self) -> None:
        """Open a thinking block."""
        self._start(b'{"type":"thinking","thinking":"","signature":""}', b'"thinking_delta","thinking":')

    def start_tool_use(self, tool_id: str, name: str) -> None:
        """Open a tool_use block; its input comes in deltas."""
        self._start(
            b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (_encode(tool_id), _encode(name)),
            b'"input_json_delta","partial_json":',
        )

    def redacted_thinking(self, data: str) -> None:
        """Write a whole redacted_thinking block."""
        self._start(b'{"type":"redacted_thinking","data":%b}' % _encode(data), b"")
        self.stop()

    def delta(self, value: str) -> None:
        """Write a delta of the open block's kind; the empty one is what keeps a silent stream alive."""
        self._written.append(self._delta_prefix + _encode(value) + b"}}\n\n")

    def signature(self, signature: str) -> None:
        """Write the signature of the open thinking block."""
        self._written.append(
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"signature_delta","signature":%b}}\n\n' % (self._index, _encode(signature))
        )

    def stop(self) -> None:
        """Close the open block."""
        self._written.append(
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index
        )
        self._index += 1

    def _start(self, block: bytes, delta_type: bytes) -> None:
        self._written.append(
            b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
            b'"content_block":%b}\n\n' % (self._index, block)
        )
        self._delta_prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b'
            % (self._index, delta_type)
        )
