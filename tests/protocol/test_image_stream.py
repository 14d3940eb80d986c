"""The streams of several rounds as one message: tables, and the grammar at any cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import UpstreamError
from ccr.protocol.image_rounds import Iteration, Result, continued
from ccr.protocol.image_stream import JoinedStream
from ccr.protocol.sse import Decoder
from ccr.protocol.usage import Usage
from tests.protocol.test_recovery import PING, delta, event, start, stop

TOOL = "analyzeImage"
PIECES = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
KEYS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}


def head(**usage: int) -> bytes:
    return event("message_start", message={"id": "m", "usage": usage})


def end(reason: str, **usage: int) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage) + event("message_stop")


def block(index: int, kind: str, *pieces: str, name: str = "") -> bytes:
    opened: dict[str, Any] = {"type": kind}
    if kind == "tool_use":
        opened |= {"id": f"t{index}", "name": name, "input": {}}
    else:
        opened |= {kind: ""}
    out = event("content_block_start", index=index, content_block=opened)
    for piece in pieces:
        out += event("content_block_delta", index=index, delta={"type": PIECES[kind], KEYS[kind]: piece})
    return out + stop(index)


def call(index: int, arguments: str = '{"task":"x"}') -> bytes:
    return block(index, "tool_use", arguments[:3], arguments[3:], name=TOOL)


def read(data: bytes) -> list[dict[str, Any]]:
    decoder = Decoder()
    found = decoder.feed(data)
    assert decoder.close() == []
    values = [json.loads(each.data) for each in found]
    assert [each.event for each in found] == [value["type"] for value in values]
    return values


def check_grammar(data: bytes, *, is_whole: bool = True) -> list[dict[str, Any]]:
    """Return the blocks of one message, whose grammar is checked."""
    found = [value for value in read(data) if value["type"] != "ping"]
    assert [value["type"] for value in found[:1]] == ["message_start"]
    blocks: list[dict[str, Any]] = []
    is_open = False
    rest = iter(found[1:])
    for value in rest:
        kind = value["type"]
        if kind == "error":
            assert next(rest, None) is None
            return blocks
        if kind == "message_delta":
            assert not is_open
            assert next(rest)["type"] == "message_stop"
            assert next(rest, None) is None
            return blocks
        assert kind.startswith("content_block_")
        assert is_open is (kind != "content_block_start")
        if kind == "content_block_start":
            blocks.append({**value["content_block"], "pieces": ""})
        assert value["index"] == len(blocks) - 1
        if kind == "content_block_delta":
            blocks[-1]["pieces"] += next(each for key, each in value["delta"].items() if key != "type")
        is_open = kind != "content_block_stop"
    assert not is_whole
    return blocks


def test_an_answer_of_one_round_goes_out_as_it_came() -> None:
    data = (
        head(input_tokens=3)
        + PING
        + block(0, "thinking", "hm")
        + block(1, "text", "a")
        + block(2, "tool_use", "{}", name="Read")
        + event("tomorrow", x=1)
        + end("tool_use", output_tokens=2)
    )
    joined = JoinedStream(TOOL)
    assert joined.feed(data) == data
    assert joined.is_finished
    assert not joined.is_held
    assert joined.round.next == "done"
    assert joined.iterations == [Iteration(Usage(3, 2))]
    assert joined.feed(data) == b""


def test_a_second_round_goes_on_in_the_same_message() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(
        head(input_tokens=3) + block(0, "text", "a") + call(1) + end("tool_use", output_tokens=2)
    )
    assert joined.round.next == "again"
    assert [json.loads(bytes(each.input)) for each in joined.round.calls] == [{"task": "x"}]
    joined.iterations.append(Iteration(Usage(50, 5), "seer"))
    joined.again()
    out += joined.feed(head(input_tokens=7) + block(0, "thinking", "hm") + block(1, "text", "b"))
    out += joined.feed(end("end_turn", output_tokens=4))
    assert [each["type"] for each in check_grammar(out)] == ["text", "thinking", "text"]
    last = read(out)[-2]
    assert last["delta"] == {"stop_reason": "end_turn"}
    usage = last["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (10, 6)
    assert [each["type"] for each in usage["iterations"]] == ["message", "advisor_message", "message"]


def test_results_become_a_text() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + call(0) + block(1, "tool_use", "{}", name="Read") + end("tool_use"))
    assert joined.round.next == "as_text"
    out += joined.text("red\n") + joined.end()
    [use, text] = check_grammar(out)
    assert (use["name"], text["pieces"]) == ("Read", "red\n")
    assert read(out)[-2]["delta"] == {"stop_reason": "tool_use"}
    assert joined.is_finished


def test_an_answer_that_was_cut_keeps_its_end() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + block(0, "text", "a") + call(1, '{"ta') + end("max_tokens", output_tokens=9))
    assert joined.round.next == "cut"
    out += joined.end()
    assert [each["type"] for each in check_grammar(out)] == ["text"]
    assert read(out)[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens"},
        "usage": {"output_tokens": 9},
    }


@pytest.mark.parametrize(
    ("following", "blocks"),
    [
        (block(0, "text", "b") + end("end_turn"), [("text", "b")]),
        (start(0) + stop(0) + end("end_turn"), [("text", "")]),
        (block(0, "thinking", "b") + end("end_turn"), [("text", ""), ("thinking", "b")]),
        (end("end_turn"), [("text", "")]),
        (call(0) + end("max_tokens"), [("text", "")]),
    ],
)
def test_a_block_that_kept_the_client_alive(following: bytes, blocks: list[tuple[str, str]]) -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + call(0) + end("tool_use"))
    for _ in range(2):
        out += joined.keep_alive() + joined.ping()
    joined.again()
    out += joined.feed(head() + following)
    if joined.is_held:
        out += joined.end()
    assert [(each["type"], each["pieces"]) for each in check_grammar(out)] == blocks
    assert len([each for each in read(out) if each["type"] == "ping"]) == 2


def test_a_text_goes_on_in_it_too() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + call(0) + block(1, "tool_use", "{}", name="Read") + end("tool_use"))
    out += joined.keep_alive() + joined.text("red") + joined.end()
    assert [(each["type"], each["pieces"]) for each in check_grammar(out)] == [
        ("tool_use", "{}"),
        ("text", "red"),
    ]


def test_a_block_that_begins_with_text_goes_on_in_it() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + call(0) + end("tool_use")) + joined.keep_alive()
    joined.again()
    opened = event("content_block_start", index=0, content_block={"type": "text", "text": "re"})
    out += joined.feed(head() + opened + delta(0, "d") + stop(0) + end("end_turn"))
    assert [each["pieces"] for each in check_grammar(out)] == ["red"]
    assert json.loads(bytes(joined.round.blocks[0]["text"])) == "red"


def test_what_ends_with_an_error() -> None:
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + start(0) + event("error", error={}) + stop(0))
    assert read(out)[-1]["type"] == "error"
    assert joined.is_finished
    joined = JoinedStream(TOOL)
    out = joined.feed(head() + call(0) + end("tool_use")) + joined.fail(UpstreamError(502, "gone"))
    assert check_grammar(out) == []
    assert read(out)[-1]["error"]["message"] == "gone"
    assert joined.is_finished


def test_blocks_are_sent_back_as_they_came() -> None:
    signed = event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "sig"})
    thinking = block(0, "thinking", "h", "m").replace(stop(0), signed + stop(0))
    cited = event("content_block_delta", index=1, delta={"type": "citations_delta", "citation": {}})
    text = block(1, "text", "l", "ook").replace(stop(1), cited + stop(1))
    redacted = event("content_block_start", index=2, content_block={"type": "redacted_thinking", "data": "x"})
    joined = JoinedStream(TOOL)
    joined.feed(head() + thinking + text + redacted + stop(2) + call(3) + call(4, "[1]") + call(5, ""))
    joined.feed(end("tool_use"))
    said = joined.round
    results = [Result(each, "r") for each in said.calls]
    sent = json.loads(continued(b'{"messages":[]}', said.blocks, results))["messages"][0]["content"]
    assert sent == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "look"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "tool_use", "id": "t3", "name": TOOL, "input": {"task": "x"}},
        {"type": "tool_use", "id": "t4", "name": TOOL, "input": {}},
        {"type": "tool_use", "id": "t5", "name": TOOL, "input": {}},
    ]


def test_counts_that_are_corrected_count_once() -> None:
    joined = JoinedStream(TOOL)
    once_more = event("message_delta", delta={}, usage={"output_tokens": 7})
    joined.feed(head(input_tokens=2) + block(0, "text", "a") + once_more + end("end_turn", output_tokens=9))
    assert joined.iterations == [Iteration(Usage(2, 9))]
    assert joined.round.stop_reason == "end_turn"


def test_events_that_cannot_be_read_stand_in_nobodys_way() -> None:
    joined = JoinedStream(TOOL)
    odd = b'event: message_delta\ndata: {"delta":7}\n\n'
    assert joined.feed(head()) + joined.feed(odd) == head() + odd
    assert joined.feed(delta(9, "of no block")) == b""


BLOCKS = st.one_of(
    st.tuples(st.just("text"), st.sampled_from(["", "a", "some words"])),
    st.tuples(st.just("thinking"), st.sampled_from(["", "hm"])),
    st.tuples(st.just("Read"), st.just("{}")),
    st.tuples(st.just(TOOL), st.sampled_from(['{"task":"x"}', "{}", '{"ta'])),
)
ROUNDS = st.lists(st.lists(BLOCKS, max_size=5), min_size=1, max_size=4)


def written(index: int, kind: str, piece: str) -> bytes:
    if kind in ("Read", TOOL):
        return block(index, "tool_use", piece[:1], piece[1:], name=kind)
    return block(index, kind, piece)


@given(ROUNDS, st.lists(st.integers(1, 200), max_size=30), st.integers(0, 2), st.data())
def test_the_grammar_holds_at_any_cut(
    rounds: list[list[tuple[str, str]]], cuts: list[int], signs: int, data: st.DataObject
) -> None:
    """Whatever rounds come in whatever reads: one message, all blocks but the calls, counts of all."""
    joined = JoinedStream(TOOL)
    out, expected, sizes = b"", [], iter(cuts)
    for number, blocks in enumerate(rounds):
        stream = head(input_tokens=1) + PING
        stream += b"".join(written(index, *each) for index, each in enumerate(blocks))
        reason = data.draw(st.sampled_from(["tool_use", "end_turn", "max_tokens"]))
        stream += end(reason, output_tokens=2)
        while stream:
            size = next(sizes, 100_000)
            out += joined.feed(stream[:size])
            stream = stream[size:]
        expected += [piece for kind, piece in blocks if kind != TOOL]
        assert joined.is_held is any(kind == TOOL for kind, _ in blocks)
        if not joined.is_held:
            break
        for _ in range(signs):
            out += joined.ping() + joined.keep_alive()
        if joined.round.next == "again" and number < len(rounds) - 1:
            joined.again()
            continue
        if joined.round.next == "as_text":
            out += joined.text("seen")
            expected.append("seen")
        out += joined.end()
        break
    assert joined.is_finished
    assert "".join(each["pieces"] for each in check_grammar(out)) == "".join(expected)
    assert TOOL.encode() not in out
    usage = read(out)[-2]["usage"]
    assert usage["output_tokens"] == 2 * len(joined.iterations)
