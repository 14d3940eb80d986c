from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol.recovery import (
    INSTRUCTION,
    Delivered,
    Splice,
    continued_chat,
    continued_messages,
    takes_prefill,
)
from ccr.protocol.traits import ModelTraits


def event(name: str, **values: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n".encode()


def start(index: int, kind: str = "text") -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, "text": ""})


def delta(index: int, text: str, kind: str = "text_delta") -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, "text": text})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


HEAD = event("message_start", message={"id": "m"})
PING = event("ping")
END = event("message_delta", delta={"stop_reason": "end_turn"}) + event("message_stop")


def delivered(*events: bytes) -> Delivered:
    read = Delivered()
    for each in events:
        read.feed(each)
    return read


@pytest.mark.parametrize(
    ("events", "text", "open_index"),
    [
        ([], "", None),
        ([HEAD, PING], "", None),
        ([HEAD, start(0), delta(0, "a"), PING, delta(0, ""), delta(0, "b ")], "ab ", 0),
        ([HEAD, start(0), delta(0, "a"), stop(0)], "a", None),
        ([HEAD, start(0), delta(0, "a"), stop(0), start(1), delta(1, "b")], "ab", 1),
        ([HEAD, start(0, "thinking")], None, 0),
        ([HEAD, start(0), delta(0, "a"), stop(0), start(1, "tool_use")], None, 1),
        ([HEAD, start(0), delta(0, "a"), stop(0), END], None, None),
        ([HEAD, event("error", error={"type": "api_error"})], None, None),
    ],
)
def test_what_may_be_gone_on_with(events: list[bytes], text: str | None, open_index: int | None) -> None:
    read = delivered(*events)
    assert (read.text, read.open_index) == (text, open_index)


@pytest.mark.parametrize(
    ("before", "rest", "expected"),
    [
        # the open block goes on
        (
            [HEAD, start(0), delta(0, "a")],
            [HEAD, PING, start(0), delta(0, "b"), stop(0), END],
            [PING, delta(0, "b"), stop(0), END],
        ),
        # later blocks are numbered on
        (
            [HEAD, start(0), delta(0, "a"), stop(0), start(1), delta(1, "b")],
            [HEAD, start(0), delta(0, "c"), stop(0), start(1, "tool_use"), stop(1), END],
            [delta(1, "c"), stop(1), start(2, "tool_use"), stop(2), END],
        ),
        # no block is open
        (
            [HEAD, start(0), delta(0, "a"), stop(0)],
            [HEAD, start(0), delta(0, "b"), stop(0), END],
            [start(1), delta(1, "b"), stop(1), END],
        ),
        # nothing was delivered
        ([HEAD], [HEAD, start(0), delta(0, "b"), stop(0), END], [start(0), delta(0, "b"), stop(0), END]),
        # the rest begins with another kind of block
        (
            [HEAD, start(0), delta(0, "a")],
            [HEAD, start(0, "thinking"), stop(0), start(1), delta(1, "b"), stop(1), END],
            [stop(0), start(1, "thinking"), stop(1), start(2), delta(2, "b"), stop(2), END],
        ),
        # white space that was delivered is not repeated
        (
            [HEAD, start(0), delta(0, "a \n ")],
            [HEAD, start(0), delta(0, " "), delta(0, ""), delta(0, "\n  b"), delta(0, " "), stop(0)],
            [delta(0, ""), delta(0, " b"), delta(0, " "), stop(0)],
        ),
        (
            [HEAD, start(0), delta(0, "a ")],
            [HEAD, start(0), delta(0, "\nb"), delta(0, " c")],
            [delta(0, "\nb"), delta(0, " c")],
        ),
    ],
)
def test_the_rest_is_joined_on(before: list[bytes], rest: list[bytes], expected: list[bytes]) -> None:
    splice = Splice(delivered(*before))
    assert parsed(b"".join(splice.feed(each) for each in rest)) == parsed(b"".join(expected))


def parsed(data: bytes) -> list[dict[str, Any]]:
    blocks = data.decode().split("\n\n")[:-1]
    values = []
    for block in blocks:
        name, _, text = block.partition("\n")
        values.append(json.loads(text.removeprefix("data: ")))
        assert name == f"event: {values[-1]['type']}"
    return values


@given(st.lists(st.text(max_size=6), max_size=6), st.lists(st.text(max_size=6), max_size=6), st.data())
def test_no_text_is_lost_at_any_cut(first: list[str], second: list[str], data: st.DataObject) -> None:
    read = delivered(HEAD, start(0), *(delta(0, text) for text in first))
    said = "".join(first)
    space = len(said) - len(said.rstrip(" \t\r\n"))
    rest = b"".join([HEAD, start(0), *(delta(0, text) for text in second), stop(0), END])
    cut = data.draw(st.integers(0, len(rest)))
    splice = Splice(read)
    found = parsed(splice.feed(rest[:cut]) + splice.feed(rest[cut:]))
    more = "".join(each["delta"]["text"] for each in found if each["type"] == "content_block_delta")
    whole = "".join(second)
    assert whole.endswith(more)
    assert len(whole) - len(more) <= space
    assert {each["index"] for each in found if "index" in each} == {0}


def test_a_chat_request_for_the_rest() -> None:
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "thinking": {"type": "enabled"},
        "reasoning_effort": "low",
    }
    before = json.dumps(chat)
    prefilled = continued_chat(chat, "so far \n", is_prefill=True)
    assert prefilled["messages"][1:] == [{"role": "assistant", "content": "so far"}]
    assert "thinking" not in prefilled
    assert "reasoning_effort" not in prefilled
    told = continued_chat(chat, "so far", is_prefill=False)
    assert told["messages"][1:] == [
        {"role": "assistant", "content": "so far"},
        {"role": "user", "content": INSTRUCTION},
    ]
    assert "thinking" in told
    assert continued_chat(chat, " \n", is_prefill=True) is chat
    assert json.dumps(chat) == before


def test_a_messages_request_for_the_rest() -> None:
    body = b'{"model":"m","thinking":{"type":"enabled"},"messages":[{"role":"user","content":1e400}]}'
    assert continued_messages(body, "", is_prefill=True) is body
    prefilled = msgspec.json.decode(
        continued_messages(body.replace(b"1e400", b"1"), "so far ", is_prefill=True)
    )
    assert prefilled == {
        "model": "m",
        "messages": [{"role": "user", "content": 1}, {"role": "assistant", "content": "so far"}],
    }
    told = continued_messages(body, "so far", is_prefill=False)
    assert b"1e400" in told
    assert INSTRUCTION.encode() in told
    assert b'"thinking"' in told


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (ModelTraits(thinking=frozenset({"budget"})), True),
        (ModelTraits(), True),
        (ModelTraits(thinking=frozenset({"adaptive"})), False),
        (ModelTraits(always_thinks=True), False),
        (ModelTraits(family="gpt"), False),
    ],
)
def test_who_takes_a_prefill(traits: ModelTraits, expected: bool) -> None:
    assert takes_prefill(traits) is expected
