"""Histories that were converted before are not converted again; what comes out is the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol import chat_history, chat_turns, openai
from ccr.protocol.anthropic import InputMessage, decode_messages_request
from ccr.protocol.chat_from_messages import Conversion, chat_request_from_messages
from ccr.protocol.history_memory import HistoryMemory
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.traits import ModelTraits

CLAUDE = ModelTraits(thinking=frozenset({"budget"}))
PLAIN = ModelTraits(family="llama", takes_cache_control=False, takes_images=False)
MARK = {"type": "ephemeral"}
USER: list[Any] = [
    {"role": "user", "content": "a"},
    {"role": "user", "content": ""},
    {"role": "user", "content": [{"type": "text", "text": "b", "cache_control": MARK}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ä"}]},
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "is_error": True,
                "content": [],
                "cache_control": MARK,
            },
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        ],
    },
    {"role": "system", "content": "c"},
]
ASSISTANT: list[Any] = [
    {"role": "assistant", "content": "d"},
    {"role": "assistant", "content": " "},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "e", "signature": "s"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "f", "signature": "s"},
            {"type": "text", "text": "g"},
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 2**70}, "cache_control": MARK},
            {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        ],
    },
]
CALLS: Any = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": each, "name": "n", "input": {"a": "ö"}} for each in ("t", "u")],
}
MESSAGES = st.lists(st.sampled_from(USER + ASSISTANT), min_size=1, max_size=12)


def converted(messages: list[Any], traits: ModelTraits) -> Conversion:
    body = {"model": "m", "max_tokens": 5, "messages": messages}
    request = decode_messages_request(json.dumps(body, ensure_ascii=False).encode())
    return chat_request_from_messages(request, model="m", traits=traits)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> HistoryMemory:
    """The memory that is in use, empty."""
    fresh = HistoryMemory()
    monkeypatch.setattr(chat_history, "HISTORIES", fresh)
    monkeypatch.setattr(openai, "HISTORIES", fresh)
    return fresh


def without_memory(messages: list[Any], traits: ModelTraits) -> Conversion:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_history, "_beginning", lambda messages, traits: None)
        return converted(messages, traits)


@given(
    st.lists(st.tuples(MESSAGES, st.sampled_from([CLAUDE, PLAIN])), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), min_size=1, max_size=12),
)
def test_what_comes_out_is_what_converting_gives(
    conversations: list[tuple[list[Any], ModelTraits]], turns: list[tuple[int, int]]
) -> None:
    for which, length in turns:
        whole, traits = conversations[which % len(conversations)]
        messages = whole[:length]
        given_back, expected = converted(messages, traits), without_memory(messages, traits)
        assert given_back.chat == expected.chat
        assert set(given_back.rules) == set(expected.rules)
        assert given_back.tool_ids == expected.tool_ids
        assert json.loads(encode_chat_request(given_back.chat)) == json.loads(json.dumps(expected.chat))


def session(turns: int) -> list[Any]:
    return [USER[0], *[message for _ in range(turns) for message in (CALLS, USER[3])]]


def marked(text: str) -> Any:
    return {"role": "user", "content": [{"type": "text", "text": text, "cache_control": MARK}]}


def parts(conversion: Conversion, index: int) -> list[Any]:
    content = conversion.chat["messages"][index].get("content")
    return content if isinstance(content, list) else [content]


def test_only_what_is_new_is_converted(memory: HistoryMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    converted(session(3), CLAUDE)
    turns: list[int] = []
    spoken = chat_turns.spoken_turns

    def counting(messages: list[InputMessage], *rest: Any) -> Any:
        turns.append(len(messages))
        return spoken(messages, *rest)

    monkeypatch.setattr(chat_history, "spoken_turns", counting)
    converted(session(3), CLAUDE)
    assert turns == [1]
    converted(session(4), CLAUDE)
    assert turns == [1, 2, 1]


def test_another_model_gets_a_history_of_its_own(memory: HistoryMemory) -> None:
    assert converted(session(2), CLAUDE).chat != converted(session(2), PLAIN).chat


def test_what_is_remembered_is_written_once_and_never_changed(memory: HistoryMemory) -> None:
    first = converted(session(3), CLAUDE)
    before = copy.deepcopy(first.chat)
    as_json = json.dumps(before, separators=(",", ":"), ensure_ascii=False)
    assert encode_chat_request(first.chat) == as_json.encode()
    sent = first.chat["messages"]
    remembered = [text is not message for text, message in zip(memory.written(sent), sent, strict=True)]
    assert remembered == [True] * 8 + [False] * 2
    converted([*session(3), *[marked(str(number)) for number in range(5)]], CLAUDE)
    assert first.chat == before


def test_a_breakpoint_over_the_limit_comes_back_when_there_is_room(memory: HistoryMemory) -> None:
    turns = [message for number in range(5) for message in (marked(str(number)), ASSISTANT[0])]
    over = converted([*turns, USER[0]], CLAUDE)
    assert "cache_control_over_limit" in over.rules
    assert "cache_control" not in parts(over, 0)[0]
    within = converted([*turns[:8], USER[0]], CLAUDE)
    assert "cache_control_over_limit" not in within.rules
    assert "cache_control" in parts(within, 0)[0]


def test_a_few_conversations_are_remembered(memory: HistoryMemory) -> None:
    for number in range(6):
        messages = [{"role": "user", "content": str(number)}, ASSISTANT[0], USER[0]]
        converted(messages, CLAUDE)
    assert len(memory._known) == 4


def test_what_is_too_large_to_be_decoded_once_is_not_remembered(memory: HistoryMemory) -> None:
    converted([{"role": "user", "content": "x" * 1024 * 1024}, ASSISTANT[0], USER[0]], CLAUDE)
    assert memory._known == []


def test_a_body_that_is_no_chat_request_is_written_as_it_is() -> None:
    other: Any = {"contents": [1]}
    assert encode_chat_request(other) == b'{"contents":[1]}'
