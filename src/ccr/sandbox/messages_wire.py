"""An answer in the Anthropic messages dialect, whole or as a stream, in the form of the real API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ccr.sandbox.answer import Answer, pieces_of_text
from ccr.sandbox.sse_wire import sse_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccr.sandbox.script import Usage, Wire

Event = tuple[str, dict[str, Any]]


def message_body(answer: Answer) -> dict[str, Any]:
    """Return the answer as one message object."""
    usage = messages_usage(answer.usage, answer.usage.output)
    return _message(answer) | {"content": list(_blocks(answer)), "stop_reason": answer.stop, "usage": usage}


def messages_stream(answer: Answer, wire: Wire) -> list[bytes]:
    """Return the answer as the events of a stream, one item an event."""
    return [
        sse_event({"type": name} | fields, wire, event=name, number=number)
        for number, (name, fields) in enumerate(_events(answer, wire))
    ]


def messages_usage(usage: Usage, output: int) -> dict[str, int]:
    """Return usage in the Anthropic dialect: ``input_tokens`` excludes the cached ones."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_creation,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": output,
    }


def _events(answer: Answer, wire: Wire) -> Iterator[Event]:
    started = _message(answer) | {"usage": messages_usage(answer.usage, min(1, answer.usage.output))}
    yield "message_start", {"message": started}
    yield "ping", {}
    for index, block in enumerate(_blocks(answer)):
        for name, fields in _block_events(block, answer, wire):
            yield name, {"index": index} | fields
    delta = {"stop_reason": answer.stop, "stop_sequence": None}
    yield "message_delta", {"delta": delta, "usage": messages_usage(answer.usage, answer.usage.output)}
    yield "message_stop", {}


def _block_events(block: dict[str, Any], answer: Answer, wire: Wire) -> Iterator[Event]:
    """Yield the start, the deltas and the stop of one block."""
    deltas: list[dict[str, Any]] = []
    start = block
    if block["type"] == "thinking":
        start = block | {"thinking": "", "signature": ""}
        pieces = pieces_of_text(block["thinking"], wire.piece_chars)
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "text":
        start = block | {"text": ""}
        deltas = [
            {"type": "text_delta", "text": piece} for piece in pieces_of_text(block["text"], wire.piece_chars)
        ]
    elif block["type"] == "tool_use":
        start = block | {"input": {}}
        arguments = next(call.arguments for call in answer.calls if call.id == block["id"])
        size = 1 if wire.arguments == "chars" else wire.piece_chars
        pieces = [arguments or "{}"] if wire.arguments == "whole" else ["", *pieces_of_text(arguments, size)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield "content_block_start", {"content_block": start}
    for delta in deltas:
        yield "content_block_delta", {"delta": delta}
    yield "content_block_stop", {}


def _blocks(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.redacted is not None:
        yield {"type": "redacted_thinking", "data": answer.redacted}
    if answer.thinking is not None:
        yield {"type": "thinking", "thinking": answer.thinking, "signature": answer.signature}
    if answer.text is not None:
        yield {"type": "text", "text": answer.text}
    for call in answer.calls:
        yield {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": _input_of(call.arguments),
        }


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.endpoint,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _input_of(arguments: str) -> object:
    """Return a call's input; nothing for arguments that are no JSON, which only a stream can show."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {}
