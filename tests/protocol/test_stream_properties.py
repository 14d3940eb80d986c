"""What must hold for every answer: any cut gives the same events, the grammar holds, no value is lost."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.stream import MessageStream
from tests.protocol.message_oracle import DONE, Json, accumulated, check_grammar, chunk, events_of

Parts = list[str]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
WORDS = st.text(string.ascii_letters, min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=3).map(lambda value: json.dumps(value, ensure_ascii=False))

THINKING = st.tuples(st.just("thinking"), TEXT, WORDS)
REDACTED = st.tuples(st.just("redacted"), WORDS, st.none())
ANSWER = st.tuples(st.just("text"), TEXT, st.none())
CONTENT = st.lists(THINKING | REDACTED | ANSWER, max_size=4)
CALLS = st.lists(st.tuples(WORDS, ARGUMENTS), max_size=3)
USAGE = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 999), "completion_tokens": st.integers(0, 999)},
    optional={"cache_read_input_tokens": st.integers(0, 999), "cache_creation_input_tokens": st.none()},
)
FINISH_REASONS = st.sampled_from(["stop", "tool_calls", "length", "content_filter", "odd"])


def part_of(kind: str, value: str, signature: str | None) -> Json:
    if kind == "text":
        return {"type": "text", "text": value}
    if kind == "redacted":
        return {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": value}]}
    item = {"type": "summary_text", "text": value, "signature": signature}
    return {"type": "reasoning", "summary": [item]}


def pieces(draw: st.DataObject, value: str) -> Parts:
    """Return the value cut at any places."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(value)), max_size=4)))
    return [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]


def deltas_of_part(draw: st.DataObject, kind: str, value: str, signature: str | None) -> list[Json]:
    if kind == "redacted":
        return [{"content": [part_of(kind, value, None)]}]
    if kind == "text":
        as_string = draw.draw(st.booleans())
        return [{"content": p if as_string else [part_of("text", p, None)]} for p in pieces(draw, value)]
    deltas: list[Json] = [{"content": [part_of(kind, p, "")]} for p in pieces(draw, value)]
    return [*deltas, {"content": [part_of(kind, "", signature)]}]


def deltas_of_calls(draw: st.DataObject, calls: list[tuple[str, str]]) -> list[Json]:
    """Return the fragments of all calls, those of one call in order, of several calls in any order."""
    queues: list[list[Json]] = []
    for index, (name, arguments) in enumerate(calls):
        first: list[Json] = [{"index": index, "id": f"call_{index}", "function": {"name": name}}]
        if draw.draw(st.booleans()):
            first[0]["function"]["arguments"] = draw.draw(st.sampled_from(["", "{}"]))
        rest: list[Json] = [{"index": index, "function": {"arguments": p}} for p in pieces(draw, arguments)]
        queues.append(first + rest)
    fragments: list[Json] = []
    started = 0  # calls begin in the order of the message; what follows may be mixed
    while any(queues):
        open_queues = [queue for queue in queues[: started + 1] if queue]
        queue = draw.draw(st.sampled_from(open_queues))
        started = max(started, queue[0]["index"] + 1)
        fragments.append(queue.pop(0))
    return [{"tool_calls": [fragment]} for fragment in fragments]


def fed(stream: MessageStream, data: bytes, cuts: list[int]) -> bytes:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    reads = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return stream.start() + b"".join(map(stream.feed, reads)) + stream.close()


def new_stream(**options: Any) -> MessageStream:
    return MessageStream(message_id="msg_1", model="m", **options)


@settings(deadline=None)  # no test is timed
@given(CONTENT, CALLS, USAGE, FINISH_REASONS, st.lists(st.integers(0, 10_000), max_size=8), st.data())
def test_a_stream_gives_the_same_message_as_the_whole_completion(
    content: list[tuple[str, str, str | None]],
    calls: list[tuple[str, str]],
    usage: Json | None,
    finish_reason: str,
    cuts: list[int],
    draw: st.DataObject,
) -> None:
    tool_calls = [
        {"id": f"call_{i}", "function": {"name": n, "arguments": a}} for i, (n, a) in enumerate(calls)
    ]
    message = {"content": [part_of(*part) for part in content], "tool_calls": tool_calls}
    body = {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}
    whole = message_from_chat(json.dumps(body).encode(), message_id="msg_1", model="m")

    deltas = [delta for part in content for delta in deltas_of_part(draw, *part)]
    deltas += deltas_of_calls(draw, calls)
    data = b"".join(chunk(delta) for delta in deltas) + chunk({}, finish_reason, usage=usage) + DONE
    stream = new_stream()
    sent = fed(stream, data, cuts)

    assert check_grammar(events_of(sent)) == "message_stop"
    streamed = accumulated(sent)
    expected = json.loads(whole.encode())
    assert streamed["content"] == expected["content"]
    assert streamed["stop_reason"] == expected["stop_reason"] == stream.stop_reason
    if usage is not None:
        assert streamed["usage"] == expected["usage"]
    assert stream.usage == whole.usage
    assert [json.loads(arguments) for _, arguments in calls] == [
        block["input"] for block in streamed["content"] if block["type"] == "tool_use"
    ]


FRAGMENTS = st.fixed_dictionaries(
    {},
    optional={
        "index": st.none() | st.integers(0, 2),
        "id": st.none() | st.sampled_from(["", "a", "b", "used"]),
        "function": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "name": st.none() | st.sampled_from(["", "A", "B", "answer"]),
                "arguments": st.none()
                | st.sampled_from(["", "{}", "{", '"x":1', "}", " ", "null", '{"y":2}', {"z": 3}]),
            },
        ),
    },
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.none() | st.sampled_from(["", "t"]),
        "signature": st.none() | st.sampled_from(["", "s", "s2"]),
        "data": st.none() | st.sampled_from(["", "d"]),
    },
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none()
        | st.sampled_from(["", "t", "null"])
        | st.lists(
            st.just("u")
            | st.fixed_dictionaries(
                {"type": st.sampled_from(["text", "reasoning", "image", "odd"])},
                optional={
                    "text": st.none() | st.just("v"),
                    "summary": st.none() | st.lists(ITEMS, max_size=2),
                },
            ),
            max_size=2,
        ),
        "tool_calls": st.none() | st.lists(FRAGMENTS, max_size=3),
        "reasoning_content": st.none() | st.sampled_from(["", "r"]),
    },
)
EVENTS = (
    st.tuples(DELTAS, st.sampled_from([None] * 8 + ["", "stop", "length", "tool_calls"])).map(
        lambda pair: chunk(*pair)
    )
    | st.sampled_from(
        [b": c\n\n", b'data: {"choices": []}\n\n', b"data: {}\n\n", b"data: {\n\n", b"data: \xff\n\n", DONE]
    )
    | st.just(b'data: {"error": {"message": "no"}}\n\n')
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "thinking": st.booleans(),
        "json_tool": st.just("answer"),
        "tool_ids": st.just(frozenset({"used"})),
    },
)


@settings(deadline=None)  # no test is timed
@given(st.lists(EVENTS, max_size=12), OPTIONS, st.lists(st.integers(0, 10_000), max_size=8))
@pytest.mark.fault("T81", outcome="the same events as in one piece")
def test_whatever_comes_in_any_cut_the_grammar_holds(
    events: list[bytes], options: Json, cuts: list[int]
) -> None:
    data = b"".join(events)
    stream = new_stream(**options)
    sent = fed(stream, data, [])
    end = check_grammar(events_of(sent))
    assert end == ("error" if stream.error is not None else "message_stop")
    if end == "message_stop":
        assert stream.stop_reason is not None
    assert fed(new_stream(**options), data, cuts) == sent


@settings(deadline=None)  # no test is timed
@given(st.lists(EVENTS | st.just(b""), max_size=10), OPTIONS)
def test_keep_alive_never_breaks_the_grammar_nor_changes_the_content(
    events: list[bytes], options: Json
) -> None:
    quiet, kept = new_stream(**options), new_stream(**options)
    plain, kept_alive = quiet.start(), kept.start()
    for event in events:
        plain += quiet.feed(event)
        kept_alive += kept.keep_alive() + kept.feed(event) + kept.ping()
    plain += quiet.close()
    kept_alive += kept.close()
    assert check_grammar(events_of(kept_alive)) == check_grammar(events_of(plain))
    if quiet.error is None:
        assert merged_text(kept_alive) == merged_text(plain)


def merged_text(data: bytes) -> list[Json]:
    """Return the blocks without the empty ones that only kept the stream alive."""
    return [
        event["delta"]
        for event in events_of(data)
        if event["type"] == "content_block_delta" and any(v for k, v in event["delta"].items() if k != "type")
    ]
