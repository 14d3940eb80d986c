"""Thinking between tags: extrathinktag and forcereasoning, whole and cut at every position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.model import Step
from ccr.protocol.thinking_wish import ThinkingWish
from ccr.transformers.forcereasoning import INSTRUCTION
from ccr.transformers.registry import build
from ccr.transformers.tags import Splitter, Tags
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
from tests.transformers.requests import Json, chat, context, sent

CASES = [
    # the whole text, what is thinking, what is text
    ("<T>deep</T>answer", "deep", "answer"),
    ("\n <T>\ndeep\nand deeper\n</T>\n\nanswer\n", "deep\nand deeper", "answer\n"),
    ("before <T>deep</T> answer", "deep", "before answer"),
    ("no tag < at all", "", "no tag < at all"),
    ("  \n", "", "  \n"),
    ("<T>never closed <", "never closed <", ""),
    ("<T></T>answer", "", "answer"),
    ("<T>a</T>answer <T>b</T>", "a", "answer <T>b</T>"),
    ("</T>answer", "", "</T>answer"),
    ("a <<T>ü😀</</T>b</T>", "ü😀</", "a <b</T>"),
]
STEPS = {
    "extrathinktag": ("<think>", "</think>"),
    "forcereasoning": ("<reasoning_content>", "</reasoning_content>"),
}
EVERY = [
    (name, *(each.replace("<T>", tags[0]).replace("</T>", tags[1]) for each in case))
    for name, tags in STEPS.items()
    for case in CASES
]


@pytest.mark.parametrize(("name", "text", "thinking", "rest"), EVERY)
def test_every_single_cut_gives_the_same(name: str, text: str, thinking: str, rest: str) -> None:
    for at in range(len(text) + 1):
        chunks = [chunk({"content": piece}) for piece in (text[:at], text[at:])]
        made = through(build(Step(name=name)), [*chunks, chunk({}, "stop"), USAGE_CHUNK])
        assert texts(made) == {"content": rest, "reasoning_content": thinking}
        assert made[-1] == USAGE_CHUNK
        assert [each["choices"][0]["finish_reason"] for each in made[:-1]][-1] == "stop"


@pytest.mark.parametrize(("name", "text", "thinking", "rest"), EVERY)
def test_a_whole_answer_is_parted_alike(name: str, text: str, thinking: str, rest: str) -> None:
    answer = completion({"content": text})
    made = completed(build(Step(name=name)), answer)
    message = made["choices"][0]["message"]
    assert (message.get("reasoning_content", ""), message["content"]) == (thinking, rest)
    assert made["usage"] == USAGE


TAGS = Tags("<t>", "</t>")


@given(
    st.lists(st.sampled_from(["<t>", "</t>", "<", "t>", "/", "a", " ", "\n", "😀"]), max_size=20).map(
        "".join
    ),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_no_cut_changes_anything_and_no_letter_is_lost(text: str, cuts: list[int]) -> None:
    def parted(pieces: list[str]) -> dict[str, str]:
        splitter = Splitter(TAGS)
        found = {"content": "", "reasoning_content": ""}
        for made in [*(each for piece in pieces for each in splitter.feed(piece)), *splitter.flush()]:
            found[made.key] += made.text
        return found

    before, found, rest = text.partition("<t>")
    thinking, _, after = rest.partition("</t>")
    if found:
        expected = {
            "content": (before if before.strip() else "") + after.lstrip(),
            "reasoning_content": thinking.strip(),
        }
    else:
        expected = {"content": text, "reasoning_content": ""}
    assert parted([text]) == parted(cut(text, cuts)) == expected


def test_the_client_sees_blocks_in_order() -> None:
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "<thi"}),
        chunk({"content": "nk>deep</think>\n\nansw"}),
        chunk({"content": "er"} | call(0, '{"a":1}', id="call_1", name="f"), "tool_calls", usage=USAGE),
    ]
    message = client_message(through(build(Step(name="extrathinktag")), chunks))
    assert message["content"] == [
        {"type": "thinking", "thinking": "deep", "signature": ""},
        {"type": "text", "text": "answer"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (10, 5)


def test_whole_and_streamed_answers_show_the_same_blocks() -> None:
    text = "<think>deep</think>answer"
    step = build(Step(name="extrathinktag"))
    whole = completed(step, completion({"content": text, "tool_calls": [whole_call("{}")]}, "tool_calls"))
    streamed = through(step, [chunk({"content": text} | call(0, "{}", id="call_1", name="f"), "tool_calls")])
    assert blocks_of_completion(whole) == blocks_of_stream(streamed)


@pytest.mark.parametrize(
    ("chunks", "made"),
    [
        # nothing to part: the very chunk
        ([chunk({"content": "a"})], [chunk({"content": "a"})]),
        ([chunk({"role": "assistant"})], [chunk({"role": "assistant"})]),
        ([chunk({"reasoning_content": "a"})], [chunk({"reasoning_content": "a"})]),
        ([chunk(call(0, "{}"))], [chunk(call(0, "{}"))]),
        ([{"choices": [{"index": 0, "text": "a"}]}], [{"choices": [{"index": 0, "text": "a"}]}]),
        # what is held comes out before anything else
        (
            [chunk({"content": "a<"}), chunk(call(0, "{}"))],
            [chunk({"content": "a"}), chunk({"content": "<"}), chunk(call(0, "{}"))],
        ),
        (
            [chunk({"content": "a<"}), chunk({"content": [{"type": "text", "text": "b"}]})],
            [
                chunk({"content": "a"}),
                chunk({"content": "<"}),
                chunk({"content": [{"type": "text", "text": "b"}]}),
            ],
        ),
        ([chunk({"content": "<"})], [chunk({"content": "<"})]),
        ([chunk({"content": "<think>"}, "stop")], [chunk({}, "stop")]),
        # the rest of a delta stays with the piece it belongs to, counts come last
        (
            [chunk({"role": "assistant", "content": "a<think>b", "refusal": "c"}, "stop", usage=USAGE)],
            [
                chunk({"role": "assistant"}),
                chunk({"content": "a"}),
                chunk({"reasoning_content": "b"}),
                chunk({"refusal": "c"}, "stop", usage=USAGE),
            ],
        ),
        (
            [chunk({"content": "<th"}, usage=USAGE)],
            [{**USAGE_CHUNK, "model": "m"}, chunk({"content": "<th"})],
        ),
    ],
)
def test_chunks(chunks: list[Json], made: list[Json]) -> None:
    assert through(build(Step(name="extrathinktag")), chunks) == made


def test_choices_are_parted_each_for_itself() -> None:
    def both(first: str, second: str, finish_reason: str | None = None) -> Json:
        choices = [
            {"index": index, "delta": {"content": text}, "finish_reason": finish_reason}
            for index, text in enumerate((first, second))
        ]
        return {"choices": choices}

    chunks = [
        both("<th", "text <think>in"),
        both("ink>deep</think>a", "side</think>b"),
        both("c", "d", "stop"),
    ]
    made = through(build(Step(name="extrathinktag")), chunks)
    assert texts(made, 0) == {"content": "ac", "reasoning_content": "deep"}
    assert texts(made, 1) == {"content": "text bd", "reasoning_content": "inside"}


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": None},
        {"choices": [1, {"index": 0}, {"message": {"content": None}}, {"message": {"content": "a"}}]},
    ],
)
def test_whole_answers_without_tags_stay(answer: Json) -> None:
    assert completed(build(Step(name="extrathinktag")), answer) == answer


USER = {"role": "user", "content": "hi"}
REMINDER = f"<system-reminder>\n{INSTRUCTION}\n</system-reminder>"
TOOL_RESULT = {"role": "tool", "tool_call_id": "1"}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (USER, [{"role": "user", "content": f"hi\n\n{REMINDER}"}]),
        (
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": REMINDER}],
                }
            ],
        ),
        ({**TOOL_RESULT, "content": "r"}, [{**TOOL_RESULT, "content": f"r\n\n{REMINDER}"}]),
        ({**TOOL_RESULT, "content": None}, [{**TOOL_RESULT, "content": REMINDER}]),
        ({**TOOL_RESULT, "content": []}, [{**TOOL_RESULT, "content": [{"type": "text", "text": REMINDER}]}]),
        (
            {"role": "assistant", "content": "a"},
            [{"role": "assistant", "content": "a"}, {"role": "user", "content": REMINDER}],
        ),
    ],
)
def test_the_instruction_follows_what_was_said_last(last: Json, expected: list[Json]) -> None:
    made = sent(build(Step(name="forcereasoning")), chat(USER, last))
    assert made["messages"] == [USER, *expected]


def test_a_client_that_wants_no_thinking_is_obeyed_and_earlier_thinking_shows_the_form() -> None:
    step = build(Step(name="forcereasoning"))
    assert sent(step, chat(), context(ThinkingWish(False))) == {"model": "m", "messages": [USER]}
    thought = {"role": "assistant", "content": "a", "thinking": {"content": "deep", "signature": ""}}
    made = sent(
        step, chat(USER, thought, {"role": "assistant", "content": "b"}, USER), context(ThinkingWish(True))
    )
    assert [message["content"] for message in made["messages"][1:3]] == [
        "<reasoning_content>deep</reasoning_content>\na",
        "b",
    ]
