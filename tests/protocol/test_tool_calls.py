"""Fragments of tool calls in every order that upstreams were seen (or feared) to send them in."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.protocol.stream import MessageStream
from ccr.protocol.tool_calls import ToolIds
from tests.protocol.message_oracle import DONE, Json, accumulated, call, check_grammar, chunk, events_of


def message_of(*deltas: Json, finish_reason: str = "tool_calls") -> tuple[list[Json], tuple[str, ...]]:
    stream = MessageStream(message_id="msg_1", model="m")
    data = stream.start() + b"".join(stream.feed(chunk(delta)) for delta in deltas)
    data += stream.feed(chunk({}, finish_reason) + DONE)
    assert check_grammar(events_of(data)) == "message_stop"
    return accumulated(data)["content"], stream.rules


def tool(tool_id: str, tool_name: str, /, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": tool_id, "name": tool_name, "input": arguments}


def text(value: str) -> Json:
    return {"type": "text", "text": value}


CASES: dict[str, tuple[list[Json], list[Json]]] = {
    "an open placeholder is not complete: the next call waits for it": (
        [
            call(0, "{}", id="a", name="A"),
            call(1, "{}", id="b", name="B"),
            call(0, '{"x":1}'),
            call(1, '{"y":2}'),
        ],
        [tool("a", "A", x=1), tool("b", "B", y=2)],
    ),
    "text waits for an open call, the order is that of the first appearance": (
        [
            call(0, '{"x":', id="a", name="A"),
            {"content": "t"},
            call(1, "{}", id="b", name="B"),
            call(0, "1}"),
        ],
        [tool("a", "A", x=1), text("t"), tool("b", "B")],
    ),
    "calls that wait go on in order when the open one is complete": (
        [
            call(0, '{"x":', id="a", name="A"),
            call(1, '{"y":', id="b", name="B"),
            call(2, '{"z":3}', id="c", name="C"),
            call(0, "1}"),
            call(1, "2}"),
        ],
        [tool("a", "A", x=1), tool("b", "B", y=2), tool("c", "C", z=3)],
    ),
    "every call has index 0": (
        [call(0, '{"x":1}', id="a", name="A"), call(0, '{"y":2}', id="b", name="A")],
        [tool("a", "A", x=1), tool("b", "A", y=2)],
    ),
    "every call has index 0 and no id": (
        [call(0, '{"x":1}', name="A"), call(0, '{"y":2}', name="A")],
        [tool("toolu_1_0", "A", x=1), tool("toolu_1_1", "A", y=2)],
    ),
    "two calls with one id": (
        [call(0, '{"x":1}', id="a", name="A"), call(1, '{"y":2}', id="a", name="B")],
        [tool("a", "A", x=1), tool("toolu_1_1", "B", y=2)],
    ),
    "the index comes later than the id": (
        [call(None, '{"x":', id="a", name="A"), call(4, "1", id="a"), call(4, "}")],
        [tool("a", "A", x=1)],
    ),
    "the id without index tells the call": (
        [
            call(None, '{"x":', id="a", name="A"),
            call(None, '{"y":', id="b", name="B"),
            call(None, "1}", id="a"),
            call(None, "2}", id="b"),
        ],
        [tool("a", "A", x=1), tool("b", "B", y=2)],
    ),
    "id and name in every fragment": (
        [call(0, p, id="a", name="A") for p in ("{}", "", '{"x"', ":1", "}", " ")],
        [tool("a", "A", x=1)],
    ),
    "the first name counts": (
        [call(0, '{"x":', id="a", name="Re"), call(0, "1}", name="ad")],
        [tool("a", "Re", x=1)],
    ),
    "another name without index begins another call": (
        [call(None, "", name="A"), call(None, "", name="B")],
        [tool("toolu_1_0", "A"), tool("toolu_1_1", "B")],
    ),
    "null and white space are no arguments": (
        [call(0, "null", id="a", name="A"), call(1, " \n", id="b", name="B"), call(1, "{}")],
        [tool("a", "A"), tool("b", "B")],
    ),
    "a new id without a name waits for the name": (
        [call(None, '{"x":', id="a"), call(None, "1}", id="a", name="A")],
        [tool("a", "A", x=1)],
    ),
    "a fragment without a function says nothing": (
        [{"tool_calls": [{"index": 0}]}, call(0, "{}", id="a", name="A"), {"tool_calls": [{"index": 0}]}],
        [tool("a", "A")],
    ),
    "an index that is new beside an id that has one is another call": (
        [call(0, '{"x":1}', id="a", name="A"), call(1, '{"y":2}', id="a", name="A")],
        [tool("a", "A", x=1), tool("toolu_1_1", "A", y=2)],
    ),
    "white space after the end is no argument": (
        [call(0, '{"x":1}', id="a", name="A"), {"content": "t"}, call(0, "\n")],
        [tool("a", "A", x=1), text("t")],
    ),
}


WRAPPER = "databricks-tool-call"
WRAPPED: dict[str, tuple[list[Json], list[Json], tuple[str, ...]]] = {
    "the tool is named in the arguments": (
        [
            call(0, "{}", id="a", name=WRAPPER),
            call(0, '{"na'),
            call(0, 'me":"Read","x":1.10}'),
            call(0, "\n"),
        ],
        [tool("a", "Read", x=1.1)],
        ("tool_call_unwrapped",),
    ),
    "the others wait for it": (
        [
            call(0, '{"x":1,', id="a", name=WRAPPER),
            call(1, "{}", id="b", name="B"),
            {"content": "t"},
            call(0, '"name":"A"}', name=WRAPPER),
            call(2, '{"name":"C"}', id="c", name=WRAPPER),
        ],
        [tool("a", "A", x=1), tool("b", "B"), text("t"), tool("c", "C")],
        ("tool_call_unwrapped",),
    ),
    "without a name in the arguments it stays": (
        [call(0, '{"x":1}', id="a", name=WRAPPER)],
        [tool("a", WRAPPER, x=1)],
        (),
    ),
    "a name that is none": ([call(0, '{"name":1}', id="a", name=WRAPPER)], [tool("a", WRAPPER, name=1)], ()),
    "an empty name": ([call(0, '{"name":""}', id="a", name=WRAPPER)], [tool("a", WRAPPER, name="")], ()),
    "no arguments": ([call(0, "{}", id="a", name=WRAPPER)], [tool("a", WRAPPER)], ()),
}


@pytest.mark.parametrize(("deltas", "content", "expected"), WRAPPED.values(), ids=WRAPPED.keys())
def test_calls_that_name_their_tool_in_their_arguments(
    deltas: list[Json], content: list[Json], expected: tuple[str, ...]
) -> None:
    blocks, rules = message_of(*deltas)
    assert blocks == content
    assert set(rules) - {"arguments_placeholder_dropped"} == set(expected)


@pytest.mark.parametrize("arguments", ['{"name":"A","x":', '{"name":"A","x":"\\ud800"}'])
def test_a_wrapped_call_that_is_cut_or_no_unicode_keeps_the_name_it_has(arguments: str) -> None:
    stream = MessageStream(message_id="msg_1", model="m")
    stream.start()
    data = stream.feed(chunk(call(0, arguments, id="a", name=WRAPPER)) + chunk({}, "length") + DONE)
    events = events_of(data)
    assert events[0]["content_block"]["name"] == WRAPPER
    assert events[1]["delta"]["partial_json"] == arguments
    assert stream.rules == ()


def test_the_values_of_a_wrapped_call_stay_what_they_are() -> None:
    stream = MessageStream(message_id="msg_1", model="m", json_tool="answer")
    wrapped = '{"z": 1.10, "name": "A", "b":[ 12345678901234567890 ],"é":"\\u00e9"}'
    data = stream.feed(chunk(call(0, wrapped, id="a", name=WRAPPER)))
    assert (
        events_of(data)[2]["delta"]["partial_json"] == '{"z":1.10,"b":[ 12345678901234567890 ],"é":"\\u00e9"}'
    )
    data = stream.feed(chunk(call(1, '{"name":"answer","x":1}', id="b", name=WRAPPER)))
    assert [event["delta"] for event in events_of(data) if "delta" in event] == [
        {"type": "text_delta", "text": '{"x":1}'}
    ]


@pytest.mark.parametrize(("deltas", "content"), CASES.values(), ids=CASES.keys())
@pytest.mark.fault("T89", outcome="one well-formed `tool_use` block each")
def test_fragments(deltas: list[Json], content: list[Json]) -> None:
    blocks, rules = message_of(*deltas)
    assert blocks == content
    assert "arguments_invalid" not in rules
    assert "arguments_after_end_dropped" not in rules


def test_arguments_after_the_block_was_closed_are_dropped_by_a_rule() -> None:
    blocks, rules = message_of(
        call(0, '{"x":1}', id="a", name="A"), {"content": "t"}, call(0, '{"x":1}', id="a", name="A")
    )
    assert blocks == [tool("a", "A", x=1), text("t")]
    assert rules == ("arguments_after_end_dropped",)


def test_arguments_that_are_cut_by_the_token_limit_are_not_called_invalid() -> None:
    deltas = [call(0, '{"x":1', id="a", name="A"), call(1, '{"y":1', id="b", name="A")]
    assert message_of(*deltas, finish_reason="length")[1] == ()
    assert message_of(*deltas)[1] == ("arguments_invalid",)


@pytest.mark.parametrize(
    ("fragments", "raw"),
    [
        (['["a"', ',"b"]'], '["a","b"]'),
        (["{}", "[1]"], "[1]"),
        ([" ", ' "text', '"'], ' "text"'),
        (["no", "pe"], "nope"),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.fault("T89", outcome="one well-formed `tool_use` block each")
def test_arguments_that_are_no_object_become_what_the_client_makes_of_bad_ones(
    fragments: list[str], raw: str, waits: bool
) -> None:
    before = [call(0, '{"x":', id="a", name="A")] if waits else []
    after = [call(0, "1}")] if waits else []
    deltas = [call(1, fragment, id="b", name="B") for fragment in fragments]
    blocks, rules = message_of(*before, *deltas, *after)
    assert blocks[-1] == tool("b", "B", __unparsedToolInput={"raw": raw, "len": len(raw)})
    assert rules[-1] == "arguments_invalid"


def test_an_answer_in_json_need_not_be_an_object() -> None:
    stream = MessageStream(message_id="msg_1", model="m", json_tool="answer")
    data = stream.feed(chunk(call(0, "[1", id="a", name="answer")))
    assert [event["delta"]["text"] for event in events_of(data) if "delta" in event] == ["[1"]
    data = stream.feed(chunk(call(0, ",2]")) + chunk({}, "tool_calls") + DONE)
    assert [event["delta"].get("text") for event in events_of(data) if "delta" in event] == [",2]", None]


def test_ids_are_unique_in_the_conversation() -> None:
    ids = ToolIds("msg_9", frozenset({"toolu_9_1", "call_1"}))
    assert [ids.unique(given) for given in ("call_2", "call_1", "call_2", None, "", "call_1/é")] == [
        "call_2",
        "toolu_9_2",
        "toolu_9_3",
        "toolu_9_4",
        "toolu_9_5",
        "call_1/é",
    ]
