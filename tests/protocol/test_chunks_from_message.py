"""Messages as chunks of a chat completion, which make the same response whole and in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.errors import ProtocolError
from ccr.protocol.chunks_from_message import ChunksFromMessage, completion_from_message
from ccr.protocol.response_stream import response_from_completion
from tests.protocol.native_events import CONTENT, STOP, WHOLE, block, delta, end, sse, start
from tests.protocol.response_oracle import check_grammar, new_stream

INCLUDED: dict[str, Any] = {"include": ["reasoning.encrypted_content"]}
USAGE: dict[str, Any] = {
    "input_tokens": 9,
    "output_tokens": 42,
    "cache_read_input_tokens": 80,
    "cache_creation_input_tokens": 3,
}


def response_of(data: bytes, size: int = 10_000) -> dict[str, Any]:
    chunks, stream = ChunksFromMessage(), new_stream(**INCLUDED)
    reads = [data[at : at + size] for at in range(0, len(data), size)]
    sent = stream.start() + b"".join(stream.feed(chunks.feed(read)) for read in reads) + stream.close()
    return check_grammar(sent)


def test_any_cut_gives_the_same() -> None:
    assert response_of(WHOLE, 1) == response_of(WHOLE)
    assert response_of(WHOLE)["status"] == "completed"


def test_a_stream_and_the_whole_message_make_the_same_response() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d1"},
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "id": "c1", "name": "n", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "n", "input": {"b": 2}},
    ]
    whole = {"type": "message", "content": content, "stop_reason": "tool_use", "usage": USAGE}
    made = json.loads(
        response_from_completion(completion_from_message(json.dumps(whole).encode()), new_stream(**INCLUDED))
    )
    data = (
        start(**USAGE)
        + block(
            0,
            "thinking",
            delta(0, "thinking_delta", thinking="Hm."),
            delta(0, "signature_delta", signature="s1"),
            thinking="",
            signature="",
        )
        + block(1, "redacted_thinking", data="d1")
        + block(2, "text", delta(2, "text_delta", text="s."), delta(2, "citations_delta"), text="Ye")
        + sse("ping")
        + block(
            3, "tool_use", delta(3, "input_json_delta", partial_json='{"a":1}'), id="c1", name="n", input={}
        )
        + block(4, "tool_use", id="c2", name="n", input={"b": 2})
        + end()
        + STOP
    )
    assert response_of(data) == made
    assert made["usage"] == {
        "input_tokens": 92,
        "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 3},
        "output_tokens": 42,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 134,
    }


def test_a_message_that_is_cut_has_failed() -> None:
    assert response_of(start() + CONTENT)["status"] == "failed"


def test_blocks_of_other_kinds_are_texts() -> None:
    whole = {"content": [{"type": "server_tool_use", "id": "x"}], "stop_reason": "end_turn", "usage": {}}
    made = json.loads(
        response_from_completion(completion_from_message(json.dumps(whole).encode()), new_stream())
    )
    assert "server_tool_use" in made["output"][0]["content"][0]["text"]


@pytest.mark.parametrize(
    "data",
    [
        sse("message_start"),
        sse("content_block_delta", index=0),
        b"data: []\n\n",
        b"data: {\n\n",
        b'data: {"a":1}\n\n',
    ],
)
def test_what_is_no_event_of_a_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ChunksFromMessage().feed(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"content":[{}]}', b"\xff"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        completion_from_message(data)
