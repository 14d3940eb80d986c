"""What answers are held against: a grammar of the events of our own, and the published client's code."""

from __future__ import annotations

import json
from typing import Any, cast

import anthropic
import httpx2
from anthropic._models import construct_type
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as ClientMessage
from anthropic.types import RawMessageStreamEvent

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"

DELTA_OF_BLOCK = {
    "text": {"text_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "redacted_thinking": set[str](),
}


def chunk(delta: Json, finish_reason: str | None = None, **more: Any) -> bytes:
    """Return one upstream event with a chunk."""
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def call(index: int | None, arguments: str | None = None, **more: Any) -> Json:
    """Return a delta with one fragment of a tool call; ``name`` goes into the function."""
    function: Json = {}
    if "name" in more:
        function["name"] = more.pop("name")
    if arguments is not None:
        function["arguments"] = arguments
    fragment = {**more, "function": function}
    if index is not None:
        fragment["index"] = index
    return {"tool_calls": [fragment]}


def reasoning(text: str = "", **more: Any) -> Json:
    """Return a delta with one reasoning item."""
    return {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text, **more}]}]}


def events_of(data: bytes) -> list[Json]:
    """Return the events; refuses whatever is not exactly ``event: T`` LF ``data: {"type":"T"…}`` LF LF."""
    assert data == b"" or data.endswith(b"\n\n")
    events = []
    for block in data.split(b"\n\n")[:-1]:
        name, body = block.split(b"\n")
        event = cast("Json", json.loads(body.removeprefix(b"data: ")))
        assert name == b"event: " + event["type"].encode()
        assert body.startswith(b"data: ")
        events.append(event)
    return events


def check_grammar(events: list[Json]) -> str:
    """Assert that the events follow the grammar of the Messages API; return how they end."""
    assert events[0]["type"] == "message_start"
    index, open_type, end, is_signed = 0, None, "open", False
    for event in events[1:]:
        assert end == "open" or (end == "message_delta" and event["type"] == "message_stop"), "after the end"
        match event["type"]:
            case "ping":
                pass
            case "content_block_start":
                assert open_type is None
                assert event["index"] == index
                open_type, is_signed = event["content_block"]["type"], False
            case "content_block_delta":
                assert event["index"] == index
                assert event["delta"]["type"] in DELTA_OF_BLOCK[cast("str", open_type)]
                assert not is_signed, "a delta after the signature"
                is_signed = event["delta"]["type"] == "signature_delta"
            case "content_block_stop":
                assert event["index"] == index
                assert open_type is not None
                index, open_type = index + 1, None
            case "message_delta":
                assert open_type is None
                assert event["delta"]["stop_reason"]
                assert isinstance(event["usage"]["output_tokens"], int)
                end = "message_delta"
            case "message_stop":
                assert end == "message_delta"
                end = "message_stop"
            case "error":
                assert set(event["error"]) == {"type", "message"}
                end = "error"
            case other:
                raise AssertionError(other)
    assert end != "message_delta"
    return end


def accumulated(data: bytes) -> Json:
    """Return the message that the published client's accumulator makes of our bytes."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for body in events_of(data):
        if body["type"] in {"ping", "message_stop", "error"}:
            continue
        event = construct_type(type_=cast("Any", RawMessageStreamEvent), value=body)
        snapshot = accumulate_event(event=cast("Any", event), current_snapshot=snapshot, json_bufs=buffers)
    message = snapshot.to_dict()
    return {
        "content": [comparable(block) for block in message["content"]],
        "stop_reason": message["stop_reason"],
        "usage": {key: value for key, value in message["usage"].items() if value is not None},
    }


def comparable(block: Json) -> Json:
    """Return a block without the keys that only the client's types add."""
    return {key: value for key, value in block.items() if value is not None}


def client_message(data: bytes) -> ClientMessage:
    """Return what the published client returns for a stream of these bytes; raises what it raises."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http_client,
        anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1:1", http_client=http_client) as client,
        client.messages.stream(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
        ) as stream,
    ):
        return stream.get_final_message()
