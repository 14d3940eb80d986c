"""Streams of responses: recorded ones (streams/NAME.sse) and what they must give, and single behaviours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccr.errors import ApiError, UpstreamError
from ccr.protocol.response_stream import response_from_completion
from tests.protocol.message_oracle import DONE, call, chunk, events_of, reasoning
from tests.protocol.response_oracle import check_grammar, fed, new_stream, read_by_client, whole_by_client

Json = dict[str, Any]
STREAMS = Path(__file__).parent / "streams"
EXPECTED = Path(__file__).parent / "response_streams"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
INCLUDED: Json = {"include": ["reasoning.encrypted_content"]}


def shown(data: bytes) -> str:
    """Return events as they are kept: one a line, without what is the same in every stream."""
    lines = []
    for event in events_of(data):
        response = event.get("response")
        if response is not None:
            event["response"] = {
                key: response[key]
                for key in ("status", "usage", "error", "incomplete_details", "output")
                if response[key]
            }
        kept = {key: value for key, value in event.items() if key != "sequence_number"}
        lines.append(json.dumps(kept, ensure_ascii=False))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_recorded_streams(name: str) -> None:
    data = (STREAMS / f"{name}.sse").read_bytes()
    sent = fed(new_stream(**INCLUDED), data)
    check_grammar(sent)
    assert shown(sent) == (EXPECTED / f"{name}.events").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_any_cut_gives_the_same(name: str) -> None:
    data = (STREAMS / f"{name}.sse").read_bytes()
    whole = fed(new_stream(), data)
    assert fed(new_stream(), data, list(range(len(data)))) == whole


def without_parsed(value: Any) -> Any:
    """Return what the client has made of items, without what it has added itself."""
    if isinstance(value, list):
        return [without_parsed(each) for each in value]
    if isinstance(value, dict):
        return {
            key: without_parsed(each)
            for key, each in value.items()
            if key not in {"parsed", "parsed_arguments"}
        }
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_published_client_reads_it(name: str) -> None:
    sent = fed(new_stream(), (STREAMS / f"{name}.sse").read_bytes())
    last = events_of(sent)[-1]
    found = read_by_client(sent)
    assert (found is not None) == (last["type"] == "response.completed")
    if found is not None:
        assert without_parsed(found.to_dict()["output"]) == last["response"]["output"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_cut_never_ends_well(name: str) -> None:
    data = (STREAMS / f"{name}.sse").read_bytes()
    end = data.find(b'"finish_reason":"')
    for at in range(0, end if end >= 0 else len(data), 23):
        assert check_grammar(fed(new_stream(), data[:at]))["status"] == "failed"


TEXT = [{"content": "Good "}, {"content": "day."}]


def stream_of(*deltas: Json, finish: str | None = "stop", usage: Json | None = None, **body: Any) -> bytes:
    data = b"".join(chunk(delta) for delta in deltas)
    more = {} if usage is None else {"usage": usage}
    return fed(new_stream(**body), data + (chunk({}, finish, **more) if finish else b"") + DONE)


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("stop_sequence", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("model_context_window_exceeded", "incomplete", "model_context_window_exceeded"),
        ("odd", "incomplete", "odd"),
    ],
)
def test_why_an_answer_ended(finish: str, status: str, reason: str | None) -> None:
    last = check_grammar(stream_of(*TEXT, finish=finish))
    assert last["status"] == status
    assert last["incomplete_details"] == ({"reason": reason} if reason else None)
    assert last["output"][0]["status"] == status


def test_counts() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    assert check_grammar(stream_of(*TEXT, usage=usage))["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 120,
    }
    assert check_grammar(stream_of(*TEXT))["usage"] is None


def test_counts_may_come_behind_the_end() -> None:
    late = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
    sent = fed(new_stream(), chunk({"content": "a"}) + chunk({}, "stop") + late + DONE + late)
    assert check_grammar(sent)["usage"]["total_tokens"] == 9


def test_thinking_is_sealed_only_where_it_is_included() -> None:
    deltas = [reasoning("H", signature=""), reasoning("m.", signature="s1"), {"content": "Yes."}]
    thought, said = check_grammar(stream_of(*deltas, **INCLUDED))["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert thought["encrypted_content"].startswith("ccr1.")
    assert said["content"][0]["text"] == "Yes."
    assert "encrypted_content" not in check_grammar(stream_of(*deltas))["output"][0]


def test_thinking_that_is_not_shown_has_no_summary() -> None:
    (thought,) = check_grammar(stream_of(reasoning("", signature="s1"), **INCLUDED))["output"]
    assert thought["summary"] == []
    assert thought["encrypted_content"]


def test_a_refusal_is_a_message_of_its_own() -> None:
    deltas = [{"content": "Well. "}, {"refusal": "I "}, {"refusal": "won't."}, {"content": "Sorry."}]
    contents = [item["content"][0] for item in check_grammar(stream_of(*deltas))["output"]]
    assert [part.get("text") or part["refusal"] for part in contents] == ["Well. ", "I won't.", "Sorry."]
    assert contents[1]["type"] == "refusal"
    (last,) = check_grammar(stream_of({"refusal": "No."}))["output"]
    assert last["content"] == [{"type": "refusal", "refusal": "No."}]


def test_calls_that_are_mixed_come_one_after_the_other() -> None:
    deltas = [
        call(0, '{"a"', id="c1", name="one"),
        call(1, '{"b":', id="c2", name="two"),
        call(0, ":1}"),
        call(1, "2}"),
    ]
    first, second = check_grammar(stream_of(*deltas, finish="tool_calls"))["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("c1", "one", '{"a":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("c2", "two", '{"b":2}')


@pytest.mark.parametrize("arguments", ["[1]", '"text"', "{not json", '{"a":1}'])
def test_arguments_stay_what_the_model_wrote(arguments: str) -> None:
    (made,) = check_grammar(stream_of(call(0, arguments, id="c1", name="n"), finish="tool_calls"))["output"]
    assert made["arguments"] == arguments


def test_arguments_that_are_cut_are_incomplete() -> None:
    (made,) = check_grammar(stream_of(call(0, '{"a"', id="c1", name="n"), finish="length"))["output"]
    assert (made["arguments"], made["status"]) == ('{"a"', "incomplete")


def test_a_call_without_an_id_gets_one_that_is_new() -> None:
    (made,) = check_grammar(stream_of(call(0, "{}", name="n")))["output"]
    assert made["call_id"]


NAMESPACE = {
    "type": "namespace",
    "name": "mcp",
    "description": "",
    "tools": [{"type": "function", "name": "read"}, {"type": "custom", "name": "patch"}],
}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"+ä"}', "+ä"),
        ('{"input":3}', '{"input":3}'),
        ("+x", "+x"),
        ('{"other":"x"}', '{"other":"x"}'),
    ],
)
def test_a_custom_tool_gets_its_text(arguments: str, text: str) -> None:
    sent = stream_of(
        call(0, arguments[:3], id="c1", name="mcp__patch"), call(0, arguments[3:]), tools=[NAMESPACE]
    )
    (made,) = check_grammar(sent)["output"]
    assert (made["type"], made["name"], made["namespace"], made["input"]) == (
        "custom_tool_call",
        "patch",
        "mcp",
        text,
    )


def test_a_tool_of_a_namespace_is_called_by_its_own_name() -> None:
    (made,) = check_grammar(stream_of(call(0, "{}", id="c1", name="mcp__read"), tools=[NAMESPACE]))["output"]
    assert (made["type"], made["name"], made["namespace"]) == ("function_call", "read", "mcp")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the answer was cut: no finish_reason in 0 events"),
        (chunk({"content": "a"}), "no finish_reason in 1 events"),
        (chunk({"content": "a"}) + DONE, "no finish_reason in 2 events"),
        (chunk({"content": "a"}) + b"data: {\n\n", "JSON that cannot be read"),
        (chunk({"content": "a"}) + b'data: {"error":{"message":"no room"}}\n\n', "no room"),
        (chunk({"content": "a"}) + b'event: error\ndata: {"message":"no room"}\n\n', "no room"),
        (b'data: {"error_code":"RESOURCE_EXHAUSTED","message":"slow"}\n\n', "slow"),
    ],
)
def test_what_breaks_off_has_failed(data: bytes, why: str) -> None:
    stream = new_stream()
    sent = fed(stream, data)
    last = check_grammar(sent)
    assert last["status"] == "failed"
    assert why in last["error"]["message"]
    assert stream.error is not None
    assert stream.feed(data) == stream.close() == stream.fail(ApiError(500, "x")) == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError(429, "slow"), "rate_limit_exceeded"),
        (UpstreamError(400, "bad"), "invalid_prompt"),
        (UpstreamError(400, "prompt is too long: 9 tokens > 8 maximum"), "context_length_exceeded"),
        (UpstreamError(502, "gone"), "server_error"),
    ],
)
def test_the_caller_may_end_it_with_an_error(error: ApiError, code: str) -> None:
    stream = new_stream()
    sent = stream.feed(chunk({"content": "Good"})) + stream.fail(error)
    last = check_grammar(sent)
    assert last["error"] == {"code": code, "message": error.message}
    assert last["output"] == []
    assert stream.body
    assert new_stream().fail(error).startswith(b"event: response.created")


def test_the_first_events_come_once() -> None:
    stream = new_stream()
    assert (stream.body, stream.stop_reason, stream.is_ending) == (b"", None, False)
    assert stream.start()
    assert stream.start() == b""
    stream.feed(chunk({"content": "a"}) + b'data: {"choices":[{"finish_reason":"stop"}]}\n\n')
    assert (stream.body, stream.stop_reason, stream.is_ending) == (b"", "end_turn", True)
    assert b"response.completed" in stream.close()


def test_what_stands_beside_a_call_is_kept_for_the_next_request() -> None:
    stream = new_stream()
    fed(stream, chunk(call(0, "{}", id="c1", name="n", thought_signature="g")) + chunk({}, "stop"))
    assert list(stream.call_extras) == ["c1"]


def test_half_characters_are_mended_by_a_rule() -> None:
    stream = new_stream()
    fed(stream, b'data: {"choices":[{"delta":{"content":"\\ud83d"},"finish_reason":"stop"}]}\n\n' + DONE)
    assert stream.rules == ("half_surrogate_replaced",)


def test_the_response_repeats_the_request() -> None:
    body: Json = {
        "instructions": "Be kind.",
        "metadata": {"a": "b"},
        "tools": [{"type": "function", "name": "n", "parameters": {"type": "object"}, "strict": True}],
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "temperature": 0.5,
        "store": True,
        "previous_response_id": None,
        "truncation": "auto",
        "max_output_tokens": 9,
    }
    last = check_grammar(stream_of(*TEXT, **body))
    same = ("instructions", "metadata", "tools", "reasoning", "temperature", "max_output_tokens")
    assert {name: last[name] for name in same} == {name: body[name] for name in same}
    assert last["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (last["store"], last["truncation"], last["previous_response_id"]) == (False, "disabled", None)
    assert (last["id"], last["object"], last["model"], last["created_at"]) == ("resp_1", "response", "m", 7)


def completion(message: Json, finish: str | None = "stop", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


def test_a_whole_answer() -> None:
    message = {
        "content": [reasoning("Hm.", signature="s")["content"][0], {"type": "text", "text": "Yes."}],
        "tool_calls": [{"id": f"c{i}", "function": {"name": "n", "arguments": "{}"}} for i in range(2)],
    }
    body = response_from_completion(completion(message, "tool_calls"), new_stream())
    found = whole_by_client(body)
    assert [item.type for item in found.output] == ["reasoning", "message", "function_call", "function_call"]
    assert found.output_text == "Yes."


@pytest.mark.parametrize(
    "data", [completion({"content": "a"}, None), b'{"error":{"message":"no"}}', b'{"choices":[]}']
)
def test_what_is_no_whole_answer_is_raised(data: bytes) -> None:
    with pytest.raises(ApiError):
        response_from_completion(data, new_stream())


if __name__ == "__main__":  # writes what the recorded streams give, to be read before it is kept
    for each in NAMES:
        given = fed(new_stream(**INCLUDED), (STREAMS / f"{each}.sse").read_bytes())
        (EXPECTED / f"{each}.events").write_text(shown(given), "utf-8")
