"""What stands beside a tool call is found, remembered for its route, bounded, and put back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from ccr.protocol.call_extras import MAX_BYTES, MAX_CALL_BYTES, MAX_CALLS, CallExtras
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.stream import MessageStream

SIGNED = {"extra_content": {"google": {"thought_signature": "s=="}}}


def call(name: str, **beside: Any) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "Read", "arguments": "{}"}, **beside}


def extras(text: str = '"x"') -> dict[str, Raw]:
    return {"extra_content": Raw(text.encode())}


def streamed(*deltas: dict[str, Any], **more: Any) -> dict[str, Any]:
    stream = MessageStream(message_id="msg_1", model="m", **more)
    for delta in deltas:
        chunk = {"choices": [{"delta": delta, "finish_reason": None}]}
        stream.feed(f"data: {json.dumps(chunk)}\n\n".encode())
    stream.feed(b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n')
    stream.close()
    assert stream.error is None
    return {
        name: {key: json.loads(bytes(value)) for key, value in each.items()}
        for name, each in stream.call_extras.items()
    }


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (SIGNED, SIGNED),
        ({"thought_signature": "s"}, {"thought_signature": "s"}),
        ({"thoughtSignature": "s", "extra_content": None}, {"thoughtSignature": "s"}),
        ({"something": 1}, None),
    ],
)
def test_extras_are_found_in_streams_and_whole_messages(
    beside: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    wanted = {"b": expected} if expected else {}
    calls = [{"index": 0, **call("a")}, {"index": 1, **call("b", **beside)}]
    assert streamed({"tool_calls": calls}) == wanted
    message = {"role": "assistant", "tool_calls": [call("a"), call("b", **beside)]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    found = message_from_chat(body, message_id="msg_1", model="m").call_extras
    assert {
        name: {key: json.loads(bytes(each)) for key, each in value.items()} for name, value in found.items()
    } == wanted


def test_extras_may_come_after_the_call_and_follow_its_new_id() -> None:
    late = {"tool_calls": [{"index": 0, **SIGNED}]}
    assert streamed({"tool_calls": [{"index": 0, **call("a")}]}, late) == {"a": SIGNED}
    found = streamed({"tool_calls": [{"index": 0, **call("a", **SIGNED)}]}, tool_ids=frozenset({"a"}))
    assert found == {"toolu_1_0": SIGNED}


def chat(*ids: str) -> Any:
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "tool_calls": [call(name) for name in ids]},
    ]
    return {"model": "m", "messages": messages}


def test_they_are_put_back_for_the_same_route_only() -> None:
    memory = CallExtras()
    given = chat("a", "b")
    assert memory.restored("p,m", given) is given
    memory.put("p,m", {"b": extras('{"google": {"n": 1.50}}')})
    before = json.dumps(given)
    assert memory.restored("p,other", given) is given
    assert memory.restored("p,m", chat("c")) == chat("c")
    sent = encode_chat_request(memory.restored("p,m", given))
    assert b'"extra_content":{"google": {"n": 1.50}}' in sent
    assert sent.count(b"extra_content") == 1
    assert json.dumps(given) == before


def test_the_memory_is_bounded() -> None:
    memory = CallExtras()
    memory.put("p,m", {f"id{number}": extras() for number in range(MAX_CALLS + 1)})
    first, last = chat("id0"), chat(f"id{MAX_CALLS}")
    assert memory.restored("p,m", first) is first
    assert memory.restored("p,m", last) is not last
    huge = chat("huge")
    memory.put("p,m", {"huge": extras("1" * (MAX_CALL_BYTES + 1))})
    assert memory.restored("p,m", huge) is huge
    large = extras("1" * MAX_CALL_BYTES)
    memory.put("p,m", {f"large{number}": large for number in range(MAX_BYTES // MAX_CALL_BYTES)})
    assert memory.restored("p,m", last) is last, "the oldest have made room"
    memory.put("p,m", {"large5": extras()})
    kept = chat("large0")
    assert memory.restored("p,m", kept) is not kept, "a replaced entry counts once"
