"""What must hold for every response: any cut gives the same events, the grammar holds, no value is lost."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.protocol.response_stream import response_from_completion
from ccr.protocol.responses_reasoning import summary_from_encrypted
from tests.protocol.message_oracle import DONE, Json, chunk
from tests.protocol.response_oracle import check_grammar, fed, new_stream, read_by_client
from tests.protocol.test_stream_properties import (
    CALLS,
    CONTENT,
    EVENTS,
    FINISH_REASONS,
    USAGE,
    deltas_of_calls,
    deltas_of_part,
    part_of,
)

CUTS = st.lists(st.integers(0, 10_000), max_size=8)
INCLUDED = {"include": ["reasoning.encrypted_content"]}


@settings(deadline=None)  # no test is timed
@given(CONTENT, CALLS, USAGE, FINISH_REASONS, CUTS, st.data())
def test_a_stream_gives_the_same_response_as_the_whole_completion(
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
    whole = json.loads(response_from_completion(json.dumps(body).encode(), new_stream(**INCLUDED)))

    deltas = [delta for part in content for delta in deltas_of_part(draw, *part)]
    deltas += deltas_of_calls(draw, calls)
    data = b"".join(chunk(delta) for delta in deltas) + chunk({}, finish_reason, usage=usage) + DONE
    sent = fed(new_stream(**INCLUDED), data, cuts)

    last = check_grammar(sent)
    assert last == whole
    items = last["output"]
    # no value is lost
    assert [item["arguments"] for item in items if item["type"] == "function_call"] == [a for _, a in calls]
    texts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
    assert "".join(texts) == "".join(value for kind, value, _ in content if kind == "text")
    sealed = [
        summary_from_encrypted(each["encrypted_content"]) for each in items if each["type"] == "reasoning"
    ]
    assert [entry and (entry.get("signature") or entry["data"]) for entry in sealed] == [
        value if kind == "redacted" else signature for kind, value, signature in content if kind != "text"
    ]
    found = read_by_client(sent)
    assert (found is not None) == (last["status"] == "completed")


@settings(deadline=None)  # no test is timed
@given(st.lists(EVENTS, max_size=12), CUTS)
def test_whatever_comes_in_any_cut_the_grammar_holds(events: list[bytes], cuts: list[int]) -> None:
    data = b"".join(events)
    stream = new_stream()
    sent = fed(stream, data)
    status = check_grammar(sent)["status"]
    assert (status == "failed") == (stream.error is not None)
    if status != "failed":
        assert stream.stop_reason is not None
    assert fed(new_stream(), data, cuts) == sent


@settings(deadline=None)  # no test is timed
@given(CONTENT, CALLS, st.data())
def test_a_cut_stream_never_ends_as_completed(
    content: list[tuple[str, str, str | None]], calls: list[tuple[str, str]], draw: st.DataObject
) -> None:
    deltas = [delta for part in content for delta in deltas_of_part(draw, *part)]
    deltas += deltas_of_calls(draw, calls)
    data = b"".join(chunk(delta) for delta in deltas)
    at = draw.draw(st.integers(0, len(data)))
    assert check_grammar(fed(new_stream(), data[:at]))["status"] == "failed"
