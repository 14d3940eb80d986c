"""For the tests of relayed streams: events as the native endpoint writes them, and a whole answer."""

from __future__ import annotations

import json
from typing import Any

from ccr.protocol.native_stream import NativeTap
from ccr.protocol.usage import Usage

Json = dict[str, Any]


def sse(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return sse("content_block_delta", index=index, delta={"type": kind, **fields})


def block(index: int, kind: str, *deltas: bytes, **fields: Any) -> bytes:
    start = sse("content_block_start", index=index, content_block={"type": kind, **fields})
    return start + b"".join(deltas) + sse("content_block_stop", index=index)


def start(model: str = "us.anthropic.claude", **usage: int) -> bytes:
    message: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 80} | usage,
    }
    return sse("message_start", message=message)


def end(stop_reason: str = "tool_use", **usage: int) -> bytes:
    delta_fields = {"stop_reason": stop_reason, "stop_sequence": None}
    return sse("message_delta", delta=delta_fields, usage={"output_tokens": 42} | usage)


STOP = sse("message_stop")
CONTENT = (
    block(
        0,
        "thinking",
        delta(0, "thinking_delta", thinking="hm …"),
        delta(0, "signature_delta", signature="sig"),
        thinking="",
        signature="",
    )
    + block(1, "text", delta(1, "text_delta", text="Grüße 😀"), delta(1, "text_delta", text="!"), text="")
    + sse("ping")
    + block(
        2,
        "tool_use",
        delta(2, "input_json_delta", partial_json=""),
        delta(2, "input_json_delta", partial_json='{"n":1.50}'),
        id="toolu_1",
        name="Bash",
        input={},
    )
)
WHOLE = start() + CONTENT + end() + STOP
RELAYED = start("asked") + CONTENT + end() + STOP
COUNTS = Usage(input_tokens=9, output_tokens=42, cache_read_input_tokens=80)


def relay(*reads: bytes, tap: NativeTap | None = None) -> tuple[bytes, NativeTap]:
    tap = tap or NativeTap(model="asked", provider="dbx")
    out = tap.start() + b"".join(tap.feed(read) for read in reads)
    return out + tap.close(), tap
