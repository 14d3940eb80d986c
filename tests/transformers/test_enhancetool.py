"""enhancetool: arguments repaired in whole and streamed answers, every call of every chunk."""

from __future__ import annotations

import json
from random import Random  # noqa: TC003 - hypothesis reads annotations at run time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.model import Step
from ccr.protocol.completion import is_json_object
from ccr.transformers.registry import build
from tests.transformers.answers import (
    USAGE,
    USAGE_CHUNK,
    arguments,
    blocks_of_completion,
    blocks_of_stream,
    call,
    chunk,
    completed,
    completion,
    cut,
    through,
    whole_call,
)

if TYPE_CHECKING:
    from tests.transformers.requests import Json

STEP = build(Step(name="enhancetool"))
BROKEN = [
    ('{"a": 1, "b": "ü"}', {"a": 1, "b": "ü"}),
    ("{a: 'x', b: [1,]}", {"a": "x", "b": [1]}),
    ('{"a": "x", "b": {"c": 1', {"a": "x", "b": {"c": 1}}),
    ('```json\n{"a": "x"}\n```', {"a": "x"}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_a_whole_answer(text: str, expected: Json) -> None:
    answer = completion(
        {"content": None, "tool_calls": [whole_call(text), whole_call("{a:1}")]}, "tool_calls"
    )
    made = completed(STEP, answer)
    calls = made["choices"][0]["message"]["tool_calls"]
    assert [json.loads(each["function"]["arguments"] or "{}") for each in calls] == [expected, {"a": 1}]
    assert made["usage"] == USAGE


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_every_single_cut(text: str, expected: Json) -> None:
    for at in range(len(text) + 1):
        chunks = [
            chunk({"content": "hi"}),
            chunk(call(0, text[:at], id="call_1", name="f", type="function")),
            chunk(call(0, text[at:])),
            chunk({}, "tool_calls"),
            USAGE_CHUNK,
        ]
        made = through(STEP, chunks)
        assert [block["input"] for block in blocks_of_stream(made)[1:]] == [expected]
        assert made[0] is chunks[0] or made[0] == chunks[0]
        assert made[-1] == USAGE_CHUNK
        assert made[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "f"


@given(
    st.lists(st.sampled_from(BROKEN), min_size=1, max_size=3),
    st.lists(st.integers(0, 60), max_size=5),
    st.randoms(use_true_random=False),
)
def test_interleaved_calls_at_any_cuts(
    calls: list[tuple[str, Json]], cuts: list[int], random: Random
) -> None:
    queues = [cut(text, cuts) for text, _ in calls]
    chunks = [chunk(call(index, "", id=f"call_{index}", name="f")) for index in range(len(calls))]
    while any(queues):
        index = random.choice([at for at, queue in enumerate(queues) if queue])
        chunks.append(chunk(call(index, queues[index].pop(0))))
    made = through(STEP, [*chunks, chunk({}, "tool_calls")])
    assert [block["input"] for block in blocks_of_stream(made)] == [expected for _, expected in calls]


def test_several_calls_and_choices_in_one_chunk() -> None:
    both = {
        "tool_calls": [
            *call(0, "{a:1}", id="1", name="f")["tool_calls"],
            *call(1, "{b:2}", id="2", name="g")["tool_calls"],
        ]
    }
    choices = [{"index": index, "delta": both, "finish_reason": "tool_calls"} for index in (0, 1)]
    made = through(STEP, [{"choices": choices}])
    for index in (0, 1):
        assert arguments(made, index) == {0: '{"a": 1}', 1: '{"b": 2}'}


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens", "content_filter"])
def test_what_a_limit_cut_off_is_not_completed(finish_reason: str) -> None:
    text = '{"file": "half of'
    answer = completion({"tool_calls": [whole_call(text)]}, finish_reason)
    assert completed(STEP, answer) == answer
    made = through(STEP, [chunk(call(0, text, id="1", name="f")), chunk({}, finish_reason)])
    assert arguments(made) == {0: text}


def test_what_cannot_be_repaired_stays() -> None:
    made = through(STEP, [chunk(call(0, "{no: {", id="1", name="f")), chunk(call(0, "]"), "tool_calls")])
    assert arguments(made) == {0: "{no: {]"}


@pytest.mark.parametrize(
    ("chunks", "made"),
    [
        # valid arguments in one piece, and what is no call: the very chunk
        ([chunk(call(0, '{"a":1}', id="1", name="f"))], [chunk(call(0, '{"a":1}', id="1", name="f"))]),
        ([chunk({"content": "a"}, "stop")], [chunk({"content": "a"}, "stop")]),
        ([chunk({"tool_calls": [1, {"index": 0}]})], [chunk({"tool_calls": [1, {"index": 0}]})]),
        # valid arguments in pieces come as soon as they are whole
        (
            [
                chunk(call(0, '{"a"', id="1", name="f")),
                chunk(call(0, ":1}")),
                chunk(call(0, " ")),
                chunk({}, "stop"),
            ],
            [
                chunk(call(0, "", id="1", name="f")),
                chunk(call(0, '{"a":1}')),
                chunk(call(0, " ")),
                chunk({}, "stop"),
            ],
        ),
        # a placeholder before the arguments, and alone
        (
            [chunk(call(0, "{}", id="1", name="f")), chunk(call(0, "{a:1")), chunk({}, "stop")],
            [chunk(call(0, "", id="1", name="f")), chunk(call(0, '{"a": 1}'), "stop")],
        ),
        (
            [chunk(call(0, "{}", id="1", name="f")), chunk({}, "stop")],
            [chunk(call(0, "", id="1", name="f")), chunk(call(0, "{}"), "stop")],
        ),
        # an object instead of text
        (
            [chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]})],
            [chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}]})],
        ),
        # every call under one index: the first is whole when the second begins
        (
            [
                chunk(call(0, "{a:1", id="1", name="f")),
                chunk(call(0, "{b:2", id="2", name="f")),
                chunk({}, "stop"),
            ],
            [
                chunk(call(0, "", id="1", name="f")),
                chunk(
                    {
                        "tool_calls": [
                            {"index": 0, "function": {"arguments": '{"a": 1}'}},
                            *call(0, "", id="2", name="f")["tool_calls"],
                        ]
                    }
                ),
                chunk(call(0, '{"b": 2}'), "stop"),
            ],
        ),
        # no index: by id, then by the last
        (
            [chunk(call(None, "{a", id="1", name="f")), chunk(call(None, ":1")), chunk({}, "stop")],
            [
                chunk(call(None, "", id="1", name="f")),
                chunk({"tool_calls": [{"id": "1", "function": {"arguments": '{"a": 1}'}}]}, "stop"),
            ],
        ),
        (
            [chunk(call(None, "{a", name="f")), chunk({}, "stop")],
            [
                chunk(call(None, "", name="f")),
                chunk({"tool_calls": [{"function": {"arguments": "{}"}}]}, "stop"),
            ],
        ),
        # without a finish_reason of its choice nothing is completed
        (
            [chunk(call(0, "{a", id="1", name="f"))],
            [chunk(call(0, "", id="1", name="f")), {**chunk(call(0, "{a"))}],
        ),
        (
            [
                chunk({"role": "assistant"} | call(0, "{a", id="1", name="f")),
                chunk({"content": "x"} | call(0, "}")),
            ],
            [
                chunk({"role": "assistant"} | call(0, "", id="1", name="f")),
                chunk({"content": "x"}),
                chunk(call(0, "{a}")),
            ],
        ),
    ],
)
def test_chunks(chunks: list[Json], made: list[Json]) -> None:
    assert through(STEP, chunks) == made


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": None},
        {"choices": [1, {"message": {"content": "a"}}, {"message": {"tool_calls": [1, {"id": "1"}]}}]},
    ],
)
def test_answers_without_calls_stay(answer: Json) -> None:
    assert completed(STEP, answer) == answer


def test_whole_and_streamed_answers_show_the_same_blocks() -> None:
    whole = completed(STEP, completion({"tool_calls": [whole_call("{a:1")]}, "tool_calls"))
    streamed = through(STEP, [chunk(call(0, "{a:1", id="call_1", name="f"), "tool_calls")])
    assert blocks_of_completion(whole) == blocks_of_stream(streamed)


def test_long_arguments_are_not_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def counted(text: str) -> bool:
        nonlocal looked
        looked += 1
        return is_json_object(text)

    monkeypatch.setattr("ccr.transformers.enhancetool.is_json_object", counted)
    code = "{}" * 20_000
    fragments = ['{"code": "', *code, '"}']
    chunks = [chunk(call(0, fragments[0], id="call_1", name="f"))]
    chunks += [chunk(call(0, each)) for each in fragments[1:]]
    made = through(STEP, [*chunks, chunk({}, "tool_calls")])
    assert json.loads(arguments(made)[0]) == {"code": code}
    assert looked < 4096 + 100
