"""A whole completion as the stream it stands for: every value is where a client of streams looks for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.completion_chunks import chunks_from_completion
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.stream import MessageStream

CALL = {"id": "toolu_1", "type": "function", "function": {"name": "Read", "arguments": "{}"}}


def chunk_of(data: str) -> Any:
    """The one chunk that becomes of a completion."""
    first, done, rest = chunks_from_completion(data.encode()).decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return json.loads(first.removeprefix("data: "))


def completion(*choices: Any, **more: Any) -> str:
    return json.dumps({"id": "x", "object": "chat.completion", "choices": list(choices), **more})


def test_messages_become_deltas_and_the_rest_stays() -> None:
    message = {"role": "assistant", "content": "Grüße ☕", "tool_calls": [CALL, CALL]}
    given = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}
    chunk = chunk_of(completion(given, usage={"prompt_tokens": 2**70}, model="m"))
    [choice] = chunk["choices"]
    assert choice == {
        "index": 0,
        "delta": {**message, "tool_calls": [{"index": 0, **CALL}, {"index": 1, **CALL}]},
        "finish_reason": "tool_calls",
        "logprobs": None,
    }
    assert chunk["object"] == "chat.completion.chunk"
    assert (chunk["usage"], chunk["model"], chunk["id"]) == ({"prompt_tokens": 2**70}, "m", "x")


@pytest.mark.parametrize("message", [None, {}, {"content": None, "tool_calls": None}])
def test_messages_of_nothing(message: Any) -> None:
    [choice] = chunk_of(completion({"message": message}))["choices"]
    assert choice["delta"] == (message or {})


@pytest.mark.parametrize("data", ["{}", '{"choices": null}', '{"choices": []}'])
def test_no_choices(data: str) -> None:
    assert chunk_of(data)["choices"] == []


def test_half_a_surrogate_pair_is_replaced() -> None:
    data = '{"choices": [{"message": {"content": "a\\ud83d b"}}]}'
    assert chunk_of(data)["choices"][0]["delta"] == {"content": "a\ufffd b"}


def test_stream_and_whole_say_the_same() -> None:
    message = {"role": "assistant", "content": "Hi", "tool_calls": [CALL]}
    data = completion(
        {"message": message, "finish_reason": "tool_calls"},
        usage={"prompt_tokens": 3, "completion_tokens": 2},
    )
    whole = message_from_chat(data.encode(), message_id="msg_1", model="m")
    stream = MessageStream(message_id="msg_1", model="m")
    stream.feed(chunks_from_completion(data.encode()))
    assert (stream.error, stream.usage, stream.stop_reason) == (None, whole.usage, whole.stop_reason)
