"""Each variation of the chat dialect, as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.sandbox.answer import Answer, Call
from ccr.sandbox.chat_wire import chat_completion, chat_stream
from ccr.sandbox.script import Usage, Wire

ANSWER = Answer(
    id="msg_1",
    model="us.anthropic.claude",
    endpoint="databricks-claude",
    created=7,
    thinking="I think.",
    signature="sig",
    redacted="secret",
    text="Hello, world",
    calls=(Call("t1", "Bash", '{"command": "ls"}'), Call("t2", "Now", "")),
    stop="tool_use",
    usage=Usage(input=10, output=40, cache_read=5, cache_creation=2),
)
TEXT = Answer("msg_1", "up", "end", 7, None, "", None, "Hello, world", (), "end_turn", Usage(1, 2))
CALLS = Answer("msg_1", "up", "end", 7, None, "", None, None, ANSWER.calls, "tool_use", Usage(1, 2))
ONE = Answer("msg_1", "up", "end", 7, None, "", None, None, ANSWER.calls[:1], "tool_use", Usage(1, 2))


def chunks_of(answer: Answer, **wire: Any) -> list[dict[str, Any]]:
    datas = [event.decode().removeprefix("data: ").strip() for event in chat_stream(answer, Wire(**wire))]
    return [json.loads(data) for data in datas if data != "[DONE]"]


def deltas_of(answer: Answer, **wire: Any) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(answer, **wire) if chunk.get("choices")]


def entries_of(answer: Answer, **wire: Any) -> list[dict[str, Any]]:
    return [entry for delta in deltas_of(answer, **wire) for entry in delta.get("tool_calls", ())]


def test_a_stream_says_everything_in_order() -> None:
    deltas = deltas_of(ANSWER)
    summaries = [delta["content"][0]["summary"][0] for delta in deltas[:3]]
    assert summaries == [
        {"type": "summary_encrypted_text", "data": "secret"},
        {"type": "summary_text", "text": "I think.", "signature": ""},
        {"type": "summary_text", "text": "", "signature": "sig"},
    ]
    assert deltas[3]["content"] == "Hello, world"
    assert [delta.get("tool_calls") for delta in deltas[4:-1]] == [
        [{"index": 0, "id": "t1", "type": "function", "function": {"name": "Bash", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"command": "ls"}'}}],
        [{"index": 1, "id": "t2", "type": "function", "function": {"name": "Now", "arguments": ""}}],
        [{"index": 1, "function": {"arguments": "{}"}}],
    ]
    last = chunks_of(ANSWER)[-1]
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert (last["id"], last["object"], last["created"]) == ("msg_1", "chat.completion.chunk", 7)
    assert chat_stream(ANSWER, Wire())[-1] == b"data: [DONE]\n\n"


def test_every_delta_has_the_role_and_every_chunk_the_usage() -> None:
    chunks = chunks_of(ANSWER)
    assert {chunk["choices"][0]["delta"]["role"] for chunk in chunks} == {"assistant"}
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 17,
        "completion_tokens": 40,
        "total_tokens": 57,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 2,
    }
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize(
    ("usage", "where"),
    [("end", [1]), ("after_finish", [2]), ("after_done", [2]), ("none", []), ("every", [0, 1])],
)
def test_usage(usage: str, where: list[int]) -> None:
    chunks = chunks_of(TEXT, usage=usage)
    assert [n for n, chunk in enumerate(chunks) if "usage" in chunk] == where


def test_usage_null() -> None:
    assert [chunk["usage"] for chunk in chunks_of(TEXT, usage="null")] == [None, None]
    assert chat_completion(TEXT, Wire(usage="null"))["usage"] is None
    assert "usage" not in chat_completion(TEXT, Wire(usage="none"))


def test_usage_after_done_comes_after_it() -> None:
    datas = [event.decode() for event in chat_stream(TEXT, Wire(usage="after_done"))]
    assert datas[-2] == "data: [DONE]\n\n"
    assert json.loads(datas[-1].removeprefix("data: "))["choices"] == []


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ("fragments", ["", '{"command": "ls"}']),
        ("whole", ['{"command": "ls"}']),
        ("chars", ["", *'{"command": "ls"}']),
        ("braces_first", ["{}", '{"command": "ls"}']),
        ("empty", [""]),
    ],
)
def test_arguments(arguments: str, fragments: list[str]) -> None:
    assert [entry["function"]["arguments"] for entry in entries_of(ONE, arguments=arguments)] == fragments


def test_braces_first_are_the_arguments_of_a_call_without_any() -> None:
    assert [e["function"]["arguments"] for e in entries_of(CALLS, arguments="braces_first")][2:] == ["{}"]


def test_parallel_calls_interleaved() -> None:
    assert [entry["index"] for entry in entries_of(CALLS, interleave=True)] == [0, 1, 0, 1]


def test_parallel_calls_in_one_chunk() -> None:
    deltas = deltas_of(CALLS, calls_in_one_chunk=True)
    assert [len(delta.get("tool_calls", ())) for delta in deltas] == [2, 2, 0]


def test_no_calls_in_one_chunk() -> None:
    assert entries_of(TEXT, calls_in_one_chunk=True) == entries_of(TEXT, interleave=True) == []


def test_indices() -> None:
    assert [entry["index"] for entry in entries_of(CALLS, first_index=1)] == [1, 1, 2, 2]
    assert all("index" not in entry for entry in entries_of(CALLS, index="missing"))


def test_ids_and_names() -> None:
    assert [entry.get("id") for entry in entries_of(CALLS, id="every")] == ["t1", "t1", "t2", "t2"]
    assert [entry["function"]["name"] for entry in entries_of(ONE, id="every")] == ["Bash", "Bash"]
    assert [entry.get("id") for entry in entries_of(ONE, id="missing")] == [None, None]
    assert [entry["function"].get("name") for entry in entries_of(ONE, name="late")] == [None, "Bash", None]


def test_roles() -> None:
    assert ["role" in delta for delta in deltas_of(TEXT, role="first")] == [True, False]
    assert ["role" in delta for delta in deltas_of(TEXT, role="never")] == [False, False]


def test_content_forms() -> None:
    assert deltas_of(TEXT, content="list")[0]["content"] == [{"type": "text", "text": "Hello, world"}]
    assert "citations" in deltas_of(TEXT, content="list", citations=True)[0]["content"][0]
    assert next(delta.get("content", "absent") for delta in deltas_of(ONE)) is None
    assert deltas_of(ONE, content_beside_tools="empty")[0]["content"] == ""
    assert "content" not in deltas_of(ONE, content_beside_tools="absent")[0]


def test_text_after_tools() -> None:
    deltas = deltas_of(ANSWER, text_after_tools=True)
    assert deltas[-2]["content"] == "Hello, world"


def test_signatures() -> None:
    thoughts = [
        d["content"][0]["summary"][0] for d in deltas_of(ANSWER, signature="with_text", piece_chars=4)[1:3]
    ]
    assert [(t["text"], t["signature"]) for t in thoughts] == [("I th", ""), ("ink.", "sig")]
    texts = json.dumps(deltas_of(ANSWER, signature="none"))
    assert '"sig"' not in texts


def test_omitted_thinking_is_an_empty_text_with_its_signature() -> None:
    omitted = Answer("m", "up", "end", 7, "", "sig", None, None, (), "end_turn", Usage())
    thoughts = [delta["content"][0]["summary"][0] for delta in deltas_of(omitted)[:2]]
    assert [(t["text"], t["signature"]) for t in thoughts] == [("", ""), ("", "sig")]


def test_chunks_that_say_nothing() -> None:
    chunks = chunks_of(TEXT, empty_choices=True, missing_choices=True, empty_delta=True)
    assert chunks[0]["choices"] == []
    assert any("choices" not in chunk for chunk in chunks)
    assert any(chunk.get("choices") and chunk["choices"][0]["delta"] == {} for chunk in chunks)


def test_finish_reasons() -> None:
    with_content = chunks_of(TEXT, finish="with_content")[-1]["choices"][0]
    assert (with_content["delta"]["content"], with_content["finish_reason"]) == ("Hello, world", "stop")
    nothing = Answer("m", "up", "end", 7, None, "", None, None, (), "max_tokens", Usage())
    assert chunks_of(nothing, finish="with_content")[-1]["choices"][0]["finish_reason"] == "length"
    assert all(c["choices"][0]["finish_reason"] is None for c in chunks_of(TEXT, finish="missing"))
    assert chunks_of(CALLS, finish_reason="stop")[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("refusal", "content_filter"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("odd", "odd")],
)
def test_stop_reasons(stop: str, reason: str) -> None:
    answer = Answer("m", "up", "end", 7, None, "", None, "x", (), stop, Usage())
    assert chat_completion(answer, Wire())["choices"][0]["finish_reason"] == reason


def test_done() -> None:
    assert chat_stream(TEXT, Wire(done="twice")).count(b"data: [DONE]\n\n") == 2
    assert b"data: [DONE]\n\n" not in chat_stream(TEXT, Wire(done="missing"))


def test_model_names() -> None:
    assert chunks_of(TEXT)[0]["model"] == "up"
    assert chunks_of(TEXT, model="endpoint")[0]["model"] == "end"


def test_forms_of_events() -> None:
    event = chat_stream(
        TEXT, Wire(comments=True, extra_fields=True, newline="\r\n", space_after_colon=False)
    )[0]
    lines = event.decode().split("\r\n")
    assert lines[:3] == [": comment 0", "id:0", "retry:3000"]
    assert lines[3].startswith('data:{"id"')
    assert lines[4:] == ["", ""]


def test_data_over_several_lines() -> None:
    event = chat_stream(TEXT, Wire(multi_line_data=True))[0].decode()
    lines = event.strip().split("\n")
    assert len(lines) > 3
    assert all(line.startswith("data: ") for line in lines)
    assert json.loads("\n".join(line.removeprefix("data: ") for line in lines))["id"] == "msg_1"


def test_a_whole_completion() -> None:
    message = chat_completion(ANSWER, Wire())["choices"][0]["message"]
    assert message["content"] == [
        {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "secret"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think.", "signature": "sig"}]},
        {"type": "text", "text": "Hello, world"},
    ]
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"command": "ls"}', "{}"]


def test_a_whole_completion_without_thinking_is_a_string() -> None:
    assert chat_completion(TEXT, Wire())["choices"][0]["message"]["content"] == "Hello, world"
    assert (
        chat_completion(TEXT, Wire(content="list"))["choices"][0]["message"]["content"][0]["type"] == "text"
    )
    assert chat_completion(ONE, Wire())["choices"][0]["message"]["content"] is None
    assert chat_completion(ONE, Wire(content_beside_tools="empty"))["choices"][0]["message"]["content"] == ""


def test_a_signature_can_be_missing_in_a_whole_completion() -> None:
    content = chat_completion(ANSWER, Wire(signature="none"))["choices"][0]["message"]["content"]
    assert content[1]["summary"][0]["signature"] == ""
