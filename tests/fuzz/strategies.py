"""Inputs that are nearly right: what clients and upstreams send, with something odd in it, cut, or broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from ccr.protocol.responses_reasoning import encrypted_content
from tests.protocol.native_events import WHOLE
from tests.protocol.test_chat_properties import MESSAGES, OPTIONS
from tests.protocol.test_stream_properties import DELTAS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Json = dict[str, Any]

ODD_TEXTS: Final = st.text(max_size=12) | st.sampled_from(
    [
        "\ud800",
        "\x00",
        "é\u2028",
        "null",
        "NaN",
        "prompt is too long: 9 tokens > 8 maximum",
        "data: x",
        "\r\n\r\n",
    ]
)
NUMBERS: Final = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 2**63, 2**64, 10**30, 1e300, float("nan"), float("inf")])
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | ODD_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def broken(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """Draw a value, and put something odd at some places of it."""
    value = draw(values)
    for _ in range(draw(st.integers(0, 2))):
        value = with_oddity(draw, value)
    return value


def with_oddity(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 6)):
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: with_oddity(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], with_oddity(draw, value[index]), *value[index + 1 :]]
    return draw(VALUES)


def written(value: Any) -> bytes:
    """Return JSON as Python writes it: with NaN, and half surrogate pairs as escapes."""
    return json.dumps(value, ensure_ascii=True).encode()


def event_of(value: Any) -> bytes:
    """Return an event of the native route with this data, named as the data say."""
    name = str(value.get("type", "")) if isinstance(value, dict) else ""
    return b"event: " + name.encode("utf-8", "replace") + b"\ndata: " + written(value) + b"\n\n"


@st.composite
def spoiled(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> bytes:
    """Draw bytes, and cut, repeat or change some of them now and then."""
    found = draw(data)
    how = draw(st.integers(0, 9))
    if how > 2 or not found:
        return found
    begin = draw(st.integers(0, len(found)))
    end = min(len(found), begin + draw(st.integers(0, 8)))
    middle = [b"", found[begin:end] * 2, draw(st.binary(max_size=4))][how]
    return found[:begin] + middle + found[end:]


REQUESTS: Final = broken(
    st.builds(
        lambda messages, options: {"model": "m", "max_tokens": 100, "messages": messages, **options},
        st.lists(MESSAGES, min_size=1, max_size=4),
        OPTIONS,
    )
).map(written)
CHAT_MESSAGES: Final = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"])},
    optional={"content": ODD_TEXTS, "tool_calls": VALUES, "tool_call_id": ODD_TEXTS},
)
CHAT_REQUESTS: Final = broken(
    st.fixed_dictionaries({"model": ODD_TEXTS, "messages": st.lists(CHAT_MESSAGES, max_size=3)})
).map(written)
COMPLETIONS: Final = broken(
    st.builds(
        lambda delta, reason, usage: {
            "choices": [{"index": 0, "message": delta, "finish_reason": reason}],
            "usage": usage,
        },
        DELTAS,
        st.sampled_from(["stop", "tool_calls", "length", "odd", None]),
        st.none() | st.fixed_dictionaries({"prompt_tokens": NUMBERS, "completion_tokens": NUMBERS}),
    )
).map(written)
ODD_CHUNKS: Final = broken(
    st.builds(lambda delta: {"choices": [{"index": 0, "delta": delta}], "usage": None}, DELTAS)
).map(lambda value: b"data: " + written(value) + b"\n\n")
CHAT_STREAMS: Final = st.lists(EVENTS | ODD_CHUNKS, max_size=8).map(b"".join)
EVENT_VALUES: Final = st.sampled_from(
    [json.loads(part.split(b"data: ", 1)[1]) for part in WHOLE.split(b"\n\n") if part]
)
ODD_EVENTS: Final = broken(EVENT_VALUES).map(event_of)
NATIVE_STREAMS: Final = st.lists(
    st.sampled_from([part + b"\n\n" for part in WHOLE.split(b"\n\n") if part]) | ODD_EVENTS, max_size=8
).map(b"".join) | st.just(WHOLE)
LINES: Final = st.lists(
    st.sampled_from([b"data: x", b"data:", b"data", b"event: e", b"event:", b"id: 1", b"retry: 2", b": c"])
    | st.sampled_from([b"", b"\xef\xbb\xbf", b"data: [DONE]", b"data: " + b"y" * 5000])
    | st.binary(max_size=6),
    max_size=12,
)
EVENT_BYTES: Final = st.builds(
    lambda lines, ends: b"".join(line + ends[index % len(ends)] for index, line in enumerate(lines)),
    LINES,
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"]), min_size=1, max_size=4),
)
MESSAGES_ANSWERS: Final = broken(
    st.just(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "x",
            "content": [{"type": "text", "text": "t"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }
    )
).map(written)
ERRORS: Final = broken(
    st.sampled_from(
        [
            {"error_code": "BAD_REQUEST", "message": "m"},
            {"error": {"message": "m", "type": "overloaded_error", "code": 429, "retry_after": 3}},
            {"message": '{"message": "prompt is too long: 210000 tokens > 200000 maximum"}'},
            {"detail": [{"loc": ["body"], "msg": "odd"}]},
        ]
    )
).map(written) | st.sampled_from([b"<html><title>x", b"Error 1015", b""])

ITEMS: Final = st.sampled_from(
    [
        {"role": "user", "content": "hello"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,x"}]},
        {"role": "user", "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,x"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("a", "s")},
        {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("", "", "d")},
        {"type": "function_call", "call_id": "c1", "name": "n", "namespace": "m", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "n", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
        {"type": "web_search_call", "id": "ws_1"},
    ]
)
RESPONSES_TOOLS: Final = st.sampled_from(
    [
        {"type": "function", "name": "n", "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "namespace", "name": "m", "tools": [{"type": "function", "name": "n"}]},
        {"type": "web_search"},
    ]
)
RESPONSES_OPTIONS: Final = st.fixed_dictionaries(
    {},
    optional={
        "instructions": ODD_TEXTS,
        "tools": st.lists(RESPONSES_TOOLS, max_size=3),
        "tool_choice": st.sampled_from(
            ["auto", "required", {"type": "function", "name": "n"}, {"type": "allowed_tools", "tools": []}]
        ),
        "reasoning": st.sampled_from([{"effort": "high", "summary": "auto"}, {"effort": "none"}]),
        "text": st.sampled_from([{"format": {"type": "json_schema", "name": "a", "schema": {}}}]),
        "max_output_tokens": st.integers(-1, 99_999),
        "stream": st.booleans(),
        "parallel_tool_calls": st.booleans(),
        "temperature": NUMBERS,
        "metadata": st.just({"a": "b"}),
        "include": st.just(["reasoning.encrypted_content"]),
    },
)
RESPONSES_REQUESTS: Final = broken(
    st.builds(
        lambda items, options: {"model": "m", "input": items, **options},
        st.lists(ITEMS, min_size=1, max_size=5) | ODD_TEXTS,
        RESPONSES_OPTIONS,
    )
).map(written)
INPUTS: Final[Mapping[str, st.SearchStrategy[bytes]]] = {
    name: st.builds(lambda first, rest: bytes([first]) + rest, st.integers(0, 255), spoiled(data))
    for name, data in {
        "sse_decoder": EVENT_BYTES | CHAT_STREAMS,
        "message_stream": CHAT_STREAMS,
        "native_tap": NATIVE_STREAMS,
        "chat_answer": COMPLETIONS,
        "refusal": ERRORS,
        "messages_request": REQUESTS,
        "native_request": REQUESTS,
        "responses_request": RESPONSES_REQUESTS,
        "response_stream": CHAT_STREAMS,
    }.items()
} | {
    "native_answer": spoiled(MESSAGES_ANSWERS),
    "chat_request": spoiled(CHAT_REQUESTS),
    "count_request": spoiled(REQUESTS),
}
"""Target -> inputs for it. Where it takes variants, the first byte is one."""
