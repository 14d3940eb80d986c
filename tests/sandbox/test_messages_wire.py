from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.sandbox.answer import Answer, Call
from ccr.sandbox.messages_wire import message_body, messages_stream
from ccr.sandbox.script import Usage, Wire

ANSWER = Answer(
    id="msg_1",
    model="us.anthropic.claude",
    endpoint="databricks-claude",
    created=7,
    thinking="I think.",
    signature="sig",
    redacted="secret",
    text="Hello",
    calls=(Call("t1", "Bash", '{"command": "ls"}'), Call("t2", "Now", "")),
    stop="tool_use",
    usage=Usage(input=10, output=40, cache_read=5, cache_creation=2),
)
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 5,
    "output_tokens": 40,
}


def events_of(**wire: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for raw in messages_stream(ANSWER, Wire(**wire)):
        name, data = raw.decode().strip().split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_the_events_have_the_form_of_the_api() -> None:
    events = events_of()
    assert all(data["type"] == name for name, data in events)
    names = [name.removeprefix("content_block_") for name, _ in events]
    assert names == [
        *["message_start", "ping"],
        *["start", "stop"],
        *["start", "delta", "delta", "stop"],
        *["start", "delta", "stop"],
        *["start", "delta", "delta", "stop"],
        *["start", "delta", "stop"],
        *["message_delta", "message_stop"],
    ]
    assert events[0][1]["message"]["usage"] == USAGE | {"output_tokens": 1}
    assert events[-2][1]["usage"] == USAGE
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_blocks_start_empty_and_are_filled_by_deltas() -> None:
    starts = [data["content_block"] for name, data in events_of() if name == "content_block_start"]
    assert starts == [
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}},
        {"type": "tool_use", "id": "t2", "name": "Now", "input": {}},
    ]


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        ("fragments", ["", '{"command": "ls"}', ""]),
        ("whole", ['{"command": "ls"}', "{}"]),
        ("chars", ["", *'{"command": "ls"}', ""]),
    ],
)
def test_arguments(arguments: str, pieces: list[str]) -> None:
    deltas = [data["delta"] for name, data in events_of(arguments=arguments) if name == "content_block_delta"]
    assert [delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta"] == pieces


def test_a_whole_message() -> None:
    body = message_body(ANSWER)
    assert body["usage"] == USAGE
    assert body["model"] == "databricks-claude"
    assert [block["type"] for block in body["content"]] == [
        "redacted_thinking",
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [block["input"] for block in body["content"][3:]] == [{"command": "ls"}, {}]
