"""A relayed stream: what goes out is what came in, but for the few events that may not; counts are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ccr.errors import UpstreamError
from ccr.protocol.native_stream import NativeTap
from ccr.protocol.sse import MAX_EVENT_BYTES
from ccr.protocol.usage import Usage
from tests.protocol.message_oracle import accumulated, check_grammar, client_message, events_of
from tests.protocol.native_events import (
    CONTENT,
    COUNTS,
    RELAYED,
    STOP,
    WHOLE,
    block,
    delta,
    end,
    relay,
    sse,
    start,
)

if TYPE_CHECKING:
    from tests.protocol.native_events import Json

METRICS = {"inputTokenCount": 3, "firstByteLatency": 1.50}


def test_a_stream_is_relayed_and_read() -> None:
    out, tap = relay(WHOLE)
    assert events_of(out) == events_of(RELAYED)
    assert out.endswith(CONTENT + end() + STOP)
    assert check_grammar(events_of(out)) == "message_stop"
    assert (tap.usage, tap.stop_reason, tap.error) == (COUNTS, "tool_use", None)
    assert tap.is_finished
    assert tap.event_count == WHOLE.count(b"event:")
    assert tap.rules == ()


def test_the_published_client_reads_the_relayed_bytes() -> None:
    out, _ = relay(WHOLE)
    message = accumulated(out)
    assert [part["type"] for part in message["content"]] == ["thinking", "text", "tool_use"]
    assert message["content"][1]["text"] == "Grüße 😀!"
    assert message["content"][2]["input"] == {"n": 1.5}
    assert message["usage"]["output_tokens"] == 42
    assert client_message(out).model == "asked"


def test_reads_that_end_with_an_event_go_out_as_the_same_object() -> None:
    tap = NativeTap(model="asked")
    tap.feed(start())
    for read in (CONTENT, sse("ping"), b": comment\n\n", end()):
        assert tap.feed(read) is read


def test_an_event_waits_for_its_end() -> None:
    tap = NativeTap(model="asked")
    tap.feed(start())
    assert tap.feed(CONTENT[:-5]) == CONTENT[: CONTENT[:-5].rindex(b"\n\n") + 2]
    assert tap.feed(CONTENT[-5:] + b"eve") == CONTENT[CONTENT[:-5].rindex(b"\n\n") + 2 :]
    assert tap.feed(b"nt: ping\ndata: {}\n\n") == b"event: ping\ndata: {}\n\n"


@pytest.mark.parametrize(
    "cut", [start(), start() + CONTENT, start() + CONTENT + end(), WHOLE[:-1], b"", b": c\n\n"]
)
def test_a_cut_stream_ends_with_an_error_and_without_half_an_event(cut: bytes) -> None:
    out, tap = relay(cut)
    assert isinstance(tap.error, UpstreamError)
    assert tap.error.status == 502
    assert tap.is_finished
    events = [line for line in out.split(b"\n\n") if line and not line.startswith(b":")]
    assert events[-1].startswith(
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"dbx'
    )
    for event in events:
        json.loads(event.partition(b"data: ")[2])
    assert out.count(b"event: error") == 1
    assert b"message_stop" not in out.replace(b"no message_stop", b"")


def test_nothing_follows_the_end() -> None:
    out, tap = relay(WHOLE + sse("ping") + b"data: [DONE]\n\n", sse("ping"))
    assert out.endswith(STOP)
    assert tap.error is None
    assert tap.feed(start()) == tap.close() == tap.ping() == tap.keep_alive() == b""
    assert tap.fail(UpstreamError(500, "x")) == b""
    assert tap.error is None


def test_fail_ends_the_stream_with_the_callers_error() -> None:
    tap = NativeTap(model="asked")
    tap.feed(start() + CONTENT[:40])
    error = UpstreamError(529, "busy")
    out = tap.fail(error)
    assert (
        out
        == b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    )
    assert tap.error is error
    assert tap.close() == b""


@pytest.mark.parametrize(
    ("given", "alive"),
    [
        (b"", b"event: ping"),
        (start(), b"event: ping"),
        (start() + block(0, "text", text=""), b"event: ping"),
        (
            start() + sse("content_block_start", index=0, content_block={"type": "redacted_thinking"}),
            b"event: ping",
        ),
        (start() + sse("content_block_start", index=0), b"event: ping"),
        (start() + block(0, "text", text="") + CONTENT[:50], b"event: ping"),
    ],
)
def test_without_an_open_block_a_ping_keeps_alive(given: bytes, alive: bytes) -> None:
    tap = NativeTap(model="asked")
    tap.feed(given)
    assert tap.keep_alive().startswith(alive)
    assert tap.ping().startswith(b"event: ping")


@pytest.mark.parametrize(
    ("kind", "empty"),
    [
        ("text", {"type": "text_delta", "text": ""}),
        ("thinking", {"type": "thinking_delta", "thinking": ""}),
        ("tool_use", {"type": "input_json_delta", "partial_json": ""}),
    ],
)
def test_an_open_block_is_kept_alive_by_an_empty_delta(kind: str, empty: Json) -> None:
    tap = NativeTap(model="asked")
    tap.feed(start() + sse("content_block_start", index=3, content_block={"type": kind}) + b"event: con")
    expected = {"type": "content_block_delta", "index": 3, "delta": empty}
    assert events_of(tap.keep_alive()) == [expected]


def test_signs_of_life_do_not_change_the_message() -> None:
    tap = NativeTap(model="asked")
    out = b""
    for read in WHOLE.split(b"\n\n"):
        out += tap.feed(read) + tap.ping() + tap.keep_alive() + tap.feed(b"\n\n") + tap.keep_alive()
    out += tap.close()
    plain, _ = relay(WHOLE)
    # an empty delta behind a signature is no part of the grammar we hold translations to, but changes nothing
    assert accumulated(out) == accumulated(plain)


def test_bedrocks_metrics_are_taken_out_wherever_they_are() -> None:
    mentioned = block(0, "text", delta(0, "text_delta", text="amazon-bedrock-invocationMetrics"), text="")
    stop = sse("message_stop", **{"amazon-bedrock-invocationMetrics": METRICS})
    out, tap = relay(start() + mentioned + end() + stop)
    assert out.endswith(mentioned + end() + b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert tap.rules == ("invocation_metrics_dropped",)
    assert tap.error is None


def test_everything_else_of_an_edited_event_stays_as_it_is() -> None:
    event = (
        b'id: 7\r\nevent: message_start\r\ndata: {"type":"message_start", "x":1.50,"message":{"id":"m",'
        b'"model":"up","usage":{"input_tokens":1}, "n":12345678901234567890123}}\r\n\r\n'
    )
    out = NativeTap(model="asked").feed(event + b"\r\n")
    assert out.startswith(b"id: 7\r\nevent: message_start\r\ndata: {")
    assert out.endswith(b'"n":12345678901234567890123}}\r\n\r\n\r\n')
    assert b'"x":1.50' in out
    assert b'"model":"asked"' in out


@pytest.mark.parametrize(
    ("data", "relayed"),
    [
        (
            b'data: {"type":"message_start",\ndata: "message":{}}',
            {"type": "message_start", "message": {"model": "asked"}},
        ),
        (b'data: {"type":"message_start"}', {"type": "message_start"}),
        (b'data: {"type":"message_start","message":[]}', {"type": "message_start", "message": []}),
    ],
)
def test_odd_starts(data: bytes, relayed: Json) -> None:
    out = NativeTap(model="asked").feed(b"event: message_start\n" + data + b"\n\n")
    assert events_of(out) == [relayed]


@pytest.mark.parametrize(
    "event",
    [
        b"event: message_start\ndata: {\n\n",
        b"event: message_delta\ndata: {\n\n",
        b'event: message_delta\ndata: {"usage":{"output_tokens":"many"}}\n\n',
        b"event: content_block_start\ndata: amazon-bedrock-invocationMetrics\n\n",
        b'event: novel\ndata: {"error":{"message":"of no concern"}}\n\n',
        b"data: 7\n\n",
        b'data: {"novel":1}\n\n',
    ],
)
def test_what_cannot_be_read_is_relayed(event: bytes) -> None:
    tap = NativeTap(model="asked")
    assert tap.feed(event) == event
    assert not tap.is_finished
    assert tap.usage is None
    assert tap.stop_reason is None


def test_a_stream_without_event_names_is_read_too() -> None:
    unnamed = b"".join(line + b"\n\n" for line in WHOLE.replace(b"event: ", b"x: ").split(b"\n\n")[:-1])
    out, tap = relay(unnamed)
    assert (tap.usage, tap.stop_reason, tap.error) == (COUNTS, "tool_use", None)
    assert out.endswith(b'data: {"type": "message_stop"}\n\n')
    assert client_message(out).model == "asked", "events get their names, or the client passes them over"
    assert client_message(relay(b"\n\r\n" + unnamed)[0]).model == "asked"


def test_an_answer_is_complete_with_its_message_stop_only() -> None:
    tap = NativeTap(model="asked")
    tap.feed(start() + end())
    assert (tap.stop_reason, tap.is_ending, tap.is_finished) == ("tool_use", False, False)
    tap.feed(STOP)
    assert tap.is_finished
    assert tap.error is None


def test_counts_that_are_missing_null_or_zero_replace_nothing() -> None:
    late = sse("message_delta", delta={}, usage={"input_tokens": 0, "output_tokens": None})
    out, tap = relay(start(output_tokens=5) + end(input_tokens=11) + late + sse("message_delta") + STOP)
    assert tap.usage == Usage(input_tokens=11, output_tokens=42, cache_read_input_tokens=80)
    assert tap.stop_reason == "tool_use"
    assert out.endswith(STOP)


def error(kind: str, message: str) -> bytes:
    """Return an error event as ccr writes it."""
    return b'event: error\ndata: {"type":"error","error":{"type":"%b","message":"%b' % (
        kind.encode(),
        message.encode(),
    )


OVERLOADED = sse("error", error={"type": "overloaded_error", "message": "Overloaded"})
TOO_LONG = sse(
    "error", error={"type": "invalid_request_error", "message": "Input is too long for requested model."}
)
LIMITED = b'data: {"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow down"}\n\n'
ERRORS = [
    (OVERLOADED, 529, OVERLOADED),
    (TOO_LONG, 400, error("invalid_request_error", "prompt is too long")),
    (LIMITED, 429, error("rate_limit_error", 'dbx, asked: slow down"}}\n\n')),
    (b'event: error\ndata: {"error":"it broke"}\n\n', 502, error("api_error", "dbx, asked: it broke")),
    (b"event: error\ndata: it broke\n\n", 502, error("api_error", "dbx, asked: it broke")),
]


@pytest.mark.parametrize(("event", "status", "relayed"), ERRORS)
def test_an_error_of_the_upstream_ends_the_stream(event: bytes, status: int, relayed: bytes) -> None:
    out, tap = relay(start() + event + STOP, STOP)
    assert out.partition(b"\n\n")[2].startswith(relayed)
    assert out.count(b"event: error") == 1
    assert STOP not in out
    assert tap.error is not None
    assert tap.error.status == status
    assert tap.is_finished


def test_an_error_of_the_upstream_is_relayed_without_keys() -> None:
    tap = NativeTap(model="asked", masked=lambda text: text.replace("the-key", "***"))
    said = 'with the-key and Bearer abcdefgh01\\"'
    event = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%b"}}\n\n'
    assert tap.feed(event % said.encode()) == event % b'with *** and Bearer ***\\"'
    assert tap.error is not None
    assert "the-key" not in tap.error.message


def test_an_endless_event_is_an_error() -> None:
    tap = NativeTap(model="asked")
    out = b""
    for _ in range(17):
        out += tap.feed(b"x" * (MAX_EVENT_BYTES // 16))
    assert out.startswith(b"event: error")
    assert tap.error is not None
    assert tap.feed(b"\n\n") == b""


def test_an_event_too_large_in_one_read_is_an_error() -> None:
    tap = NativeTap(model="asked")
    assert tap.feed(b"data: " + b"x" * MAX_EVENT_BYTES + b"\n\n").startswith(b"event: error")
