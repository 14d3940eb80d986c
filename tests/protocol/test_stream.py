"""Recorded streams (streams/NAME.sse), the events they must give (NAME.events), and single behaviours."""

from __future__ import annotations

import json
from pathlib import Path

import anthropic
import pytest

from ccr.errors import UpstreamError
from ccr.protocol.stream import MessageStream
from ccr.protocol.usage import Usage
from tests.protocol.message_oracle import (
    DONE,
    Json,
    accumulated,
    call,
    check_grammar,
    chunk,
    client_message,
    events_of,
    reasoning,
)

STREAMS = Path(__file__).parent / "streams"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))


def new_stream(**options: object) -> MessageStream:
    given = {"message_id": "msg_1", "model": "claude-sonnet-4", "provider": "databricks", **options}
    return MessageStream(**given)  # type: ignore[arg-type] # options are checked by the tests that give them


def answered(*reads: bytes, stream: MessageStream | None = None) -> list[Json]:
    stream = stream or new_stream()
    return events_of(stream.start() + b"".join(map(stream.feed, reads)) + stream.close())


def recorded(name: str) -> tuple[bytes, list[Json]]:
    lines = (STREAMS / f"{name}.events").read_text("utf-8").splitlines()
    return (STREAMS / f"{name}.sse").read_bytes(), [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_recorded_stream(name: str) -> None:
    data, expected = recorded(name)
    stream = new_stream(tool_ids=frozenset({"toolu_used"}))
    events = answered(data, stream=stream)
    assert [*events[1:], {"rules": list(stream.rules)}] == expected
    assert check_grammar(events) == ("error" if stream.error else "message_stop")
    assert stream.is_finished


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.fault("T82", outcome="the same events as in one piece")
def test_recorded_stream_byte_by_byte(name: str) -> None:
    data, expected = recorded(name)
    stream = new_stream(tool_ids=frozenset({"toolu_used"}))
    events = answered(*(data[i : i + 1] for i in range(len(data))), stream=stream)
    assert [*events[1:], {"rules": list(stream.rules)}] == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_published_client_reads_the_recorded_stream(name: str) -> None:
    data, expected = recorded(name)
    stream = new_stream(tool_ids=frozenset({"toolu_used"}))
    sent = stream.start() + stream.feed(data) + stream.close()
    if name == "invalid_arguments":
        with pytest.raises(ValueError, match="Unable to parse tool parameter"):
            client_message(sent)
    elif stream.error is not None:
        with pytest.raises(anthropic.APIStatusError) as raised:
            client_message(sent)
        assert raised.value.body == {"type": "error", "error": expected[-2]["error"]}
    else:
        message = client_message(sent)
        assert message.model == "claude-sonnet-4"
        assert message.id == "msg_1"
        assert message.stop_reason == stream.stop_reason
        assert len(message.content) == sum(event.get("type") == "content_block_stop" for event in expected)


@pytest.mark.fault("T85", outcome="with a finish reason a clean end, without one an `error` event")
def test_every_stream_that_is_cut_is_an_error_never_an_end() -> None:
    data, _ = recorded("tool_placeholder_first")
    end = data.index(b'"finish_reason":"tool_calls"')
    end = data.index(b"\n\n", end) + 2
    for cut in range(end):
        assert check_grammar(answered(data[:cut])) == "error"
    for cut in range(end, len(data)):
        assert check_grammar(answered(data[:cut])) == "message_stop"


def test_events_are_sent_in_the_read_that_brings_them() -> None:
    stream = new_stream()
    stream.start()
    assert [event["type"] for event in events_of(stream.feed(chunk({"content": "a"})))] == [
        "content_block_start",
        "content_block_delta",
    ]
    two = stream.feed(chunk({"content": "b"}) + chunk({"content": "c"}) + b"data: {")
    assert [event["delta"]["text"] for event in events_of(two)] == ["b", "c"]
    assert stream.feed(b'"choices": []}\n\n') == b""
    assert [event["type"] for event in events_of(stream.feed(chunk({}, "stop")))] == ["content_block_stop"]
    assert [event["type"] for event in events_of(stream.feed(DONE))] == ["message_delta", "message_stop"]


def test_message_start() -> None:
    stream = new_stream()
    (event,) = events_of(stream.start())
    assert event["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    assert stream.start() == b""


@pytest.mark.parametrize("method", ["close", "keep_alive", "ping"])
def test_a_stream_starts_by_itself(method: str) -> None:
    assert events_of(getattr(new_stream(), method)())[0]["type"] == "message_start"
    assert events_of(new_stream().feed(b""))[0]["type"] == "message_start"


def test_what_is_known_while_it_runs() -> None:
    stream = new_stream()
    assert (stream.usage, stream.stop_reason, stream.error, stream.event_count) == (None, None, None, 0)
    assert (stream.is_ending, stream.is_finished) == (False, False)
    stream.feed(chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}))
    assert stream.usage == Usage(5, 1)
    stream.feed(chunk(call(0, "{}", id="t", name="T"), "stop"))
    assert (stream.stop_reason, stream.event_count) == ("tool_use", 2)
    assert (stream.is_ending, stream.is_finished) == (True, False)
    assert events_of(stream.close())[0]["usage"]["input_tokens"] == 5
    assert stream.is_finished


def test_a_choice_may_be_only_its_finish_reason() -> None:
    stream = new_stream()
    events = answered(b'data: {"choices": [{"finish_reason": "stop"}, {}]}\n\n', stream=stream)
    assert [event["type"] for event in events] == ["message_start", "message_delta", "message_stop"]


def test_after_the_end_nothing_comes() -> None:
    for end in (chunk({}, "stop") + DONE, b"data: {\n\n"):
        stream = new_stream()
        stream.feed(end)
        assert stream.is_finished
        assert stream.start() == stream.feed(chunk({"content": "x"})) == stream.close() == b""
        assert stream.keep_alive() == stream.ping() == stream.fail(UpstreamError(502, "late")) == b""


def test_fail_ends_the_stream_with_the_error() -> None:
    stream = new_stream()
    stream.feed(chunk({"content": "a"}))
    error = UpstreamError(504, "databricks sent nothing for 120 s")
    assert events_of(stream.fail(error)) == [
        {"type": "error", "error": {"type": "timeout_error", "message": "databricks sent nothing for 120 s"}}
    ]
    assert stream.error is error
    assert stream.stop_reason is None


def test_fail_before_anything_is_only_the_error() -> None:
    assert [event["type"] for event in events_of(new_stream().fail(UpstreamError(529, "busy")))] == ["error"]


def test_an_error_of_the_upstream_is_kept() -> None:
    stream = new_stream()
    stream.feed(b'data: {"error_code": "RESOURCE_EXHAUSTED", "message": "slow down"}\n\n')
    assert isinstance(stream.error, UpstreamError)
    assert (stream.error.status, stream.error.error_type) == (429, "rate_limit_error")


@pytest.mark.fault("T88", outcome="an `error` event that names the limit; memory stays bounded")
def test_an_event_that_is_too_large_is_an_error() -> None:
    stream = new_stream()
    sent = stream.feed(chunk({"content": "a"})) + stream.feed(b"data: " + b"x" * (17 << 20))
    assert check_grammar(events_of(sent)) == "error"


# -- keep-alive


def test_keep_alive_before_any_content_opens_a_text_block_that_the_text_continues() -> None:
    stream = new_stream()
    data = stream.start() + stream.keep_alive() + stream.keep_alive() + stream.ping()
    data += stream.feed(chunk({"content": "Hi"})) + stream.keep_alive() + stream.feed(chunk({}, "stop"))
    data += stream.keep_alive() + stream.close()
    events = events_of(data)
    assert check_grammar(events) == "message_stop"
    assert accumulated(data)["content"] == [{"type": "text", "text": "Hi"}]
    assert [event["type"] for event in events].count(
        "ping"
    ) == 2  # after the finish_reason no block is opened


def test_keep_alive_when_thinking_was_asked_for_opens_a_thinking_block() -> None:
    stream = new_stream(thinking=True)
    data = stream.start() + stream.keep_alive() + stream.feed(chunk(reasoning("Hm")))
    data += stream.feed(chunk(reasoning("", signature="s"))) + stream.keep_alive()
    data += stream.feed(chunk({"content": "Hi"}, "stop")) + stream.close()
    assert check_grammar(events_of(data)) == "message_stop"
    assert accumulated(data)["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "text", "text": "Hi"},
    ]


def test_a_signature_alone_goes_into_the_block_that_keep_alive_opened() -> None:
    stream = new_stream(thinking=True)
    data = stream.start() + stream.keep_alive() + stream.feed(chunk(reasoning("", signature="s")))
    data += stream.feed(chunk(reasoning("More"))) + stream.feed(chunk({}, "stop")) + stream.close()
    assert accumulated(data)["content"] == [
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "thinking", "thinking": "More", "signature": ""},
    ]


def test_content_of_another_kind_closes_what_keep_alive_opened() -> None:
    stream = new_stream(thinking=True)
    data = stream.start() + stream.keep_alive() + stream.feed(chunk(call(0, '{"a":', id="t", name="T")))
    data += stream.keep_alive() + stream.feed(chunk(call(0, "1}"), "tool_calls")) + stream.close()
    assert check_grammar(events_of(data)) == "message_stop"
    assert accumulated(data)["content"] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "tool_use", "id": "t", "name": "T", "input": {"a": 1}},
    ]


def test_keep_alive_between_blocks_opens_a_text_block() -> None:
    stream = new_stream(thinking=True)
    redacted = {
        "content": [{"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "x"}]}]
    }
    data = stream.start() + stream.feed(chunk(redacted)) + stream.keep_alive()
    data += stream.feed(chunk({"content": "Hi"}, "stop")) + stream.close()
    assert accumulated(data)["content"] == [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Hi"},
    ]


# -- the tool that stands for a wanted JSON answer


def test_arguments_of_the_json_tool_are_the_text() -> None:
    stream = new_stream(json_tool="answer", thinking=True)
    reads = [
        chunk(reasoning("Hm")),
        chunk(call(0, "", id="t", name="answer")),
        chunk(call(0, '{"title":')),
        chunk(call(0, ' "ü"}'), "tool_calls"),
    ]
    data = stream.start() + b"".join(map(stream.feed, reads)) + stream.close()
    assert check_grammar(events_of(data)) == "message_stop"
    message = accumulated(data)
    assert message["content"][1] == {"type": "text", "text": '{"title": "ü"}'}
    assert message["stop_reason"] == "end_turn"


def test_the_json_tool_beside_another_tool() -> None:
    stream = new_stream(json_tool="answer")
    reads = [stream.keep_alive(), stream.feed(chunk(call(0, "{}", id="t", name="answer")))]
    reads += [stream.feed(chunk(call(1, "{}", id="u", name="T"), "stop")), stream.close()]
    message = accumulated(b"".join(reads))
    assert message["content"] == [
        {"type": "text", "text": "{}"},
        {"type": "tool_use", "id": "u", "name": "T", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"
