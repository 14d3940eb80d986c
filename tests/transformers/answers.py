"""Answers for the built-in transformers: made, cut at any place, sent through a step, read by the client."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.stream import MessageStream
from ccr.transformers.base import Context
from tests.protocol.message_oracle import DONE, Json, accumulated, check_grammar, events_of

if TYPE_CHECKING:
    from ccr.transformers.base import Transformer

CONTEXT = Context(provider="p", model="m", is_stream=True, request_id="req_1")
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
USAGE_CHUNK: Json = {"id": "c", "choices": [], "usage": USAGE}


def chunk(delta: Json, finish_reason: str | None = None, *, index: int = 0, **more: Any) -> Json:
    """Return a chunk with one choice."""
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "model": "m", "choices": [choice], **more}


def call(index: int | None, arguments: str | None = None, **more: Any) -> Json:
    """Return a delta with one fragment of a tool call; ``name`` goes into the function."""
    function = {} if arguments is None else {"arguments": arguments}
    if "name" in more:
        function["name"] = more.pop("name")
    fragment: Json = {**more, "function": function}
    if index is not None:
        fragment["index"] = index
    return {"tool_calls": [fragment]}


def completion(message: Json, finish_reason: str = "stop") -> Json:
    """Return a whole answer with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {"id": "c", "model": "m", "choices": [choice], "usage": USAGE}


def whole_call(arguments: str, *, name: str = "f", call_id: str | None = "call_1") -> Json:
    """Return a call of a whole answer."""
    made: Json = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return made if call_id is None else {"id": call_id, **made}


def cut(text: str, cuts: list[int]) -> list[str]:
    """Return the pieces of a text between the cuts."""
    places = [0, *sorted(place % (len(text) + 1) for place in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


def through(step: Transformer, chunks: list[Json], context: Context = CONTEXT) -> list[Json]:
    """Return what a step makes of a stream; nothing that it is given may be changed."""
    chunk_step = step.stream(context)
    assert chunk_step is not None
    given = copy.deepcopy(chunks)
    made = [each for one in given for each in chunk_step.chunk(one)]
    made += chunk_step.end()
    assert given == chunks
    return made


def completed(step: Transformer, answer: Json, context: Context = CONTEXT) -> Json:
    """Return what a step makes of a whole answer; it may not be changed."""
    given = copy.deepcopy(answer)
    made = step.completion(given, context)
    assert given == answer
    return made


def client_message(chunks: list[Json]) -> Json:
    """Return the message that the client makes of a stream, by its own code; checks every event."""
    stream = MessageStream(message_id="msg_1", model="m")
    upstream = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)
    data = stream.feed(upstream + DONE) + stream.close()
    check_grammar(events_of(data))
    assert stream.error is None
    return accumulated(data)


def blocks_of_stream(chunks: list[Json]) -> list[Json]:
    """Return the client's content blocks, each with what counts."""
    return [_block(block) for block in client_message(chunks)["content"]]


def blocks_of_completion(answer: Json) -> list[Json]:
    """Return the client's content blocks of a whole answer."""
    message = message_from_chat(json.dumps(answer).encode(), message_id="msg_1", model="m")
    content: list[Json] = json.loads(message.encode())["content"]
    return [_block(block) for block in content]


def texts(chunks: list[Json], index: int = 0) -> dict[str, str]:
    """Return the texts of one choice by their fields, put together."""
    found = {"content": "", "reasoning_content": ""}
    for choice in (choice for each in chunks for choice in each["choices"] if choice["index"] == index):
        for key in found:
            found[key] += choice["delta"].get(key) or ""
    return found


def arguments(chunks: list[Json], index: int = 0) -> dict[int, str]:
    """Return the arguments of the calls of one choice, put together."""
    found: dict[int, str] = {}
    for choice in (choice for each in chunks for choice in each["choices"] if choice["index"] == index):
        for fragment in choice["delta"].get("tool_calls", []):
            place = fragment["index"]
            found[place] = found.get(place, "") + (fragment["function"].get("arguments") or "")
    return found


def _block(block: Json) -> Json:
    wanted = {
        "text": ("text",),
        "thinking": ("thinking", "signature"),
        "redacted_thinking": ("data",),
        "tool_use": ("id", "name", "input"),
    }[block["type"]]
    return {key: block[key] for key in ("type", *wanted)}
