"""A message of the Messages API as the chunks of a chat completion, whole or while it arrives.

For answers that go on as something else (response_stream.py), so that one machine reads both formats. Words
that say why an answer ended stay what they are: the table of finish reasons has them (stop_reasons.py). What
ends a stream with an error is not for this module: whoever has the stream knows the error itself.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ccr.errors import ProtocolError
from ccr.protocol.sse import Decoder

Json = dict[str, Any]

DONE: Final = b"data: [DONE]\n\n"
_EVENT: Final = msgspec.json.Decoder(dict[str, Any])
_ODD: Final = (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError)
_encode: Final = msgspec.json.Encoder().encode


class ChunksFromMessage:
    """One stream of a message."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def feed(self, data: bytes) -> bytes:
        """Return the chunks that some events make. Raises ProtocolError when one is none of a message."""
        try:
            return b"".join(_chunk_of(_EVENT.decode(event.data)) for event in self._decoder.feed(data))
        except _ODD as error:
            raise _none_of_a_message(error) from error


def completion_from_message(data: bytes) -> bytes:
    """Return the body of a chat completion for that of a message. Raises ProtocolError when it is none."""
    try:
        return _completion_of(_EVENT.decode(data))
    except _ODD as error:
        raise _none_of_a_message(error) from error


def _completion_of(message: Json) -> bytes:
    parts = [_part_of(block) for block in message["content"] if block["type"] != "tool_use"]
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": _encode(block["input"]).decode()},
        }
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    choice = {"message": {"content": parts, "tool_calls": calls}, "finish_reason": message["stop_reason"]}
    return _encode({"choices": [choice], "usage": _usage_of(message["usage"])})


def _none_of_a_message(error: Exception) -> ProtocolError:
    return ProtocolError(f"the upstream sent what is no part of a message: {type(error).__name__} {error}")


def _chunk_of(event: Json) -> bytes:
    match event["type"]:
        case "message_start":
            return _chunk({}, usage=event["message"].get("usage"))
        case "content_block_start":
            return _start_of(event["index"], event["content_block"])
        case "content_block_delta":
            return _chunk(_delta_of(event["index"], event["delta"]))
        case "message_delta":
            return _chunk({}, event["delta"]["stop_reason"], event.get("usage"))
        case "message_stop":
            return DONE
    return b""


def _start_of(index: int, block: Json) -> bytes:
    if block["type"] == "tool_use":
        arguments = _encode(block["input"]).decode() if block.get("input") else ""
        function = {"name": block["name"], "arguments": arguments}
        return _chunk({"tool_calls": [{"index": index, "id": block["id"], "function": function}]})
    if block["type"] == "redacted_thinking" or block.get("text"):
        return _chunk({"content": [_part_of(block)]})
    return b""


def _delta_of(index: int, delta: Json) -> Json:
    match delta["type"]:
        case "text_delta":
            return {"content": delta["text"]}
        case "thinking_delta":
            return {"content": [_reasoning(text=delta["thinking"], signature="")]}
        case "signature_delta":
            return {"content": [_reasoning(text="", signature=delta["signature"])]}
        case "input_json_delta":
            return {"tool_calls": [{"index": index, "function": {"arguments": delta["partial_json"]}}]}
    return {}


def _part_of(block: Json) -> Json:
    match block["type"]:
        case "text":
            return {"type": "text", "text": block["text"]}
        case "thinking":
            return _reasoning(text=block["thinking"], signature=block.get("signature", ""))
        case "redacted_thinking":
            return {
                "type": "reasoning",
                "summary": [{"type": "summary_encrypted_text", "data": block["data"]}],
            }
    return {"type": block["type"], "text": _encode(block).decode()}


def _reasoning(**entry: str) -> Json:
    return {"type": "reasoning", "summary": [{"type": "summary_text", **entry}]}


def _chunk(delta: Json, finish_reason: str | None = None, usage: Json | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: %b\n\n" % _encode({"choices": [choice], "usage": _usage_of(usage)})


def _usage_of(usage: Json | None) -> Json | None:
    """Return counts in the chat API's terms, in which the prompt is the whole of it."""
    if usage is None:
        return None
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    new = usage.get("input_tokens")
    return {
        "prompt_tokens": None if new is None else new + (read or 0) + (written or 0),
        "completion_tokens": usage.get("output_tokens"),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
