"""tooluse: the obligation to call a tool, and what the model says through the way out as text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.model import Step
from ccr.transformers.registry import build
from ccr.transformers.tooluse import EXIT_TOOL, REMINDER, Said
from tests.transformers.answers import (
    USAGE,
    USAGE_CHUNK,
    blocks_of_completion,
    blocks_of_stream,
    call,
    chunk,
    client_message,
    completed,
    completion,
    cut,
    texts,
    through,
    whole_call,
)
from tests.transformers.requests import TOOL, Json, chat, sent

STEP = build(Step(name="tooluse"))
END = f"\n\n<system-reminder>\n{REMINDER}\n</system-reminder>"


def test_the_request_gets_the_tool_the_choice_and_the_reminder() -> None:
    made = sent(STEP, chat(tools=[TOOL], tool_choice="auto"))
    assert made["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in made["tools"]] == ["f", EXIT_TOOL]
    assert made["tools"][1]["function"]["parameters"]["required"] == ["response"]
    assert made["messages"] == [{"role": "user", "content": f"hi{END}"}]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"tools": []},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ],
)
def test_requests_that_say_how_to_choose_stay(keys: Json) -> None:
    assert sent(STEP, chat(**keys)) == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **keys}


@pytest.mark.parametrize(
    ("kind", "choice"), [("enabled", None), ("adaptive", None), ("disabled", "required")]
)
def test_a_thinking_model_is_only_reminded(kind: str, choice: str | None) -> None:
    made = sent(STEP, chat(tools=[TOOL], thinking={"type": kind}))
    assert made.get("tool_choice") == choice
    assert len(made["tools"]) == 2


def exits(text: str, **more: object) -> str:
    return json.dumps({"response": text, **more})


TEXTS = ["hello", "", 'a "quoted" \\ path C:\\temp\n\tline', "ü 😀 \u2028", "x" * 500]
FORMS = [
    *((exits(text), text) for text in TEXTS),
    (json.dumps({"response": "ü 😀"}, ensure_ascii=False), "ü 😀"),
    (' {\n "response" : "spaced" }', "spaced"),
    ('{"response": "not closed', "not closed"),
    ('{"response": "pattern \\d+ and \\', "pattern \\d+ and \\"),
    ('{"response": "half \\ud83d', "half \\ud83d"),
    ('{"response": "half \\ud83d!"}', "half \ufffd!"),
    ("{response: 'bare'}", "bare"),
    ('{"reason": "first", "response": "second"}', "second"),
    ('{"answer": "other"}', '{"answer": "other"}'),
    ("no JSON", "no JSON"),
    ("{}", ""),
    ('{"a": "' + "x" * 300 + '", "response": "late"}', "late"),
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_every_single_cut_of_the_arguments(text: str, expected: str) -> None:
    for at in range(len(text) + 1):
        said = Said()
        assert said.feed(text[:at]) + said.feed(text[at:]) + said.end() == expected
        assert said.end() == said.feed("more") == ""


@given(st.text(), st.booleans(), st.lists(st.integers(0, 200), max_size=8))
def test_any_text_at_any_cuts(text: str, is_ascii: bool, cuts: list[int]) -> None:
    said = Said()
    pieces = cut(json.dumps({"response": text}, ensure_ascii=is_ascii), cuts)
    assert "".join(map(said.feed, pieces)) + said.end() == text


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_a_whole_answer_becomes_text(text: str, expected: str) -> None:
    answer = completion({"content": None, "tool_calls": [whole_call(text, name=EXIT_TOOL)]}, "tool_calls")
    made = completed(STEP, answer)
    assert made["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": expected}, "finish_reason": "stop"}
    ]
    assert made["usage"] == USAGE


def test_the_text_is_streamed_while_it_is_written() -> None:
    chunks = [
        chunk(call(0, "", id="1", name=EXIT_TOOL, type="function")),
        chunk(call(0, '{"response":"he')),
        chunk(call(0, "llo\\")),
        chunk(call(0, 'n!"}')),
        chunk({}, "tool_calls", usage=USAGE),
        USAGE_CHUNK,
    ]
    made = through(STEP, chunks)
    assert made == [
        chunk({"content": "he"}),
        chunk({"content": "llo"}),
        chunk({"content": "\n!"}),
        chunk({}, "stop", usage=USAGE),
        USAGE_CHUNK,
    ]
    assert client_message(made)["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("chunks", "content", "finish_reason"),
    [
        # other calls stay, text before is parted from the text that follows
        (
            [
                chunk({"content": "a"}),
                chunk({"content": "b"} | call(0, exits("said"), id="1", name=EXIT_TOOL)),
                chunk(call(1, "{}", id="2", name="f")),
                chunk({}, "tool_calls"),
            ],
            "ab\n\nsaid",
            "tool_calls",
        ),
        (
            [chunk({"content": "a"}), chunk(call(0, exits("said"), id="1", name=EXIT_TOOL), "tool_calls")],
            "a\n\nsaid",
            "stop",
        ),
        ([chunk(call(0, "{response:'x'", id="1", name=EXIT_TOOL)), chunk({}, "length")], "x", "length"),
        # by id, by the last, and an index that is used twice
        (
            [
                chunk(call(None, '{"response":"', id="1", name=EXIT_TOOL)),
                chunk(call(None, "x")),
                chunk({"tool_calls": [{"id": "1"}]}),
                chunk({}, "stop"),
            ],
            "x",
            "stop",
        ),
        (
            [
                chunk(call(0, exits("x"), id="1", name=EXIT_TOOL)),
                chunk(call(0, "{}", id="2", name="f")),
                chunk({}, "tool_calls"),
            ],
            "x",
            "tool_calls",
        ),
        ([chunk({"tool_calls": [1]}, "tool_calls")], "", "tool_calls"),
        (
            [chunk({"tool_calls": [1, *call(0, exits("x"), name=EXIT_TOOL)["tool_calls"]]}, "stop")],
            "x",
            "stop",
        ),
    ],
)
def test_streams(chunks: list[Json], content: str, finish_reason: str) -> None:
    made = through(STEP, chunks)
    assert texts(made)["content"] == content
    assert made[-1]["choices"][0]["finish_reason"] == finish_reason


def test_streams_without_the_tool_stay() -> None:
    chunks = [
        chunk({"content": "a"}),
        chunk(call(0, "{}", id="1", name="f")),
        chunk({}, "tool_calls"),
        USAGE_CHUNK,
    ]
    assert through(STEP, chunks) == chunks


def test_parts_and_the_end_of_a_stream() -> None:
    part = {"type": "text", "text": "a"}
    said = call(0, '{"response":"x', id="1", name=EXIT_TOOL)
    made = through(STEP, [chunk({"content": [part]} | said), chunk(call(0, "\\u12"))])
    assert made == [
        chunk({"content": [part, {"type": "text", "text": "\n\nx"}]}),
        chunk({"content": "\\u12"}),
    ]


@pytest.mark.parametrize(
    ("message", "finish_reason", "expected", "ends"),
    [
        (
            {"content": "a", "tool_calls": [whole_call(exits("b"), name=EXIT_TOOL), whole_call("{}")]},
            "tool_calls",
            {"content": "a\n\nb", "tool_calls": [whole_call("{}")]},
            "tool_calls",
        ),
        (
            {
                "content": [{"type": "text", "text": "a"}],
                "tool_calls": [whole_call(exits("b"), name=EXIT_TOOL)],
            },
            "length",
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            "length",
        ),
        ({"content": "a", "tool_calls": [whole_call("{}")]}, "stop", None, "stop"),
        ({"content": "a"}, "stop", None, "stop"),
    ],
)
def test_whole_answers(message: Json, finish_reason: str, expected: Json | None, ends: str) -> None:
    made = completed(STEP, completion(message, finish_reason))
    assert made["choices"][0]["message"] == {"role": "assistant", **(expected or message)}
    assert made["choices"][0]["finish_reason"] == ends


@pytest.mark.parametrize("answer", [{"choices": None}, {"choices": [1, {"message": None}]}])
def test_what_is_no_answer_stays(answer: Json) -> None:
    assert completed(STEP, answer) == answer


def test_whole_and_streamed_answers_show_the_same_blocks() -> None:
    whole = completed(
        STEP, completion({"tool_calls": [whole_call(exits("x"), name=EXIT_TOOL)]}, "tool_calls")
    )
    streamed = through(STEP, [chunk(call(0, exits("x"), id="call_1", name=EXIT_TOOL), "tool_calls")])
    assert blocks_of_completion(whole) == blocks_of_stream(streamed) == [{"type": "text", "text": "x"}]
