"""Messages that were seen before are not decoded again; what comes out is the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.protocol import message_memory as module
from ccr.protocol import native_messages
from ccr.protocol.anthropic import InputMessage, decode_messages_request
from ccr.protocol.message_memory import MessageMemory
from ccr.protocol.native_request import sanitized_request
from ccr.protocol.traits import ModelTraits

MESSAGES: list[Any] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"a": 2**70}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ä"}]},
    {"role": "system", "content": "b"},
    {"role": "user", "content": [{"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}}]},
]


def as_it_is(data: bytes, _index: int) -> bytes:
    return data


def body(messages: list[Any]) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 5, "messages": messages}, ensure_ascii=False).encode()


@given(st.lists(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=6), min_size=1, max_size=8))
def test_what_comes_out_is_what_decoding_gives(conversations: list[list[Any]]) -> None:
    plain = msgspec.json.Decoder(list[InputMessage])
    for messages in conversations:
        assert decode_messages_request(body(messages)).messages == plain.decode(json.dumps(messages))


def test_only_what_is_new_is_decoded() -> None:
    decoded: list[bytes] = []

    def decode(data: bytes, index: int) -> bytes:
        decoded.append(data)
        return b"%d:%b" % (index, data)

    memory = MessageMemory[bytes]()
    turns = [b"1", b"2", b"3"]
    memory.decoded(turns[:2], decode)
    assert memory.decoded(turns, decode) == [b"0:1", b"1:2", b"2:3"]
    assert decoded == [b"1", b"2", b"3"]
    memory.decoded([turns[0], turns[2]], decode)
    assert decoded == [b"1", b"2", b"3", b"3"]


def test_few_and_no_huge_conversations_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MessageMemory[bytes](max_known=2)
    for text in (b"1", b"2", b"3"):
        memory.decoded([text], as_it_is)
    assert len(memory._known) == 2
    monkeypatch.setattr(module, "MAX_CONVERSATION_BYTES", 3)
    memory.decoded([b"long"], as_it_is)
    assert [each.messages for each in memory._known] == [[b"3"], [b"2"]]


def test_who_takes_the_list_changes_no_other() -> None:
    memory = MessageMemory[bytes]()
    memory.decoded([b"1"], as_it_is).append(b"mine")
    assert memory.decoded([b"1"], as_it_is) == [b"1"]


def test_a_message_that_is_none_is_named_by_its_place() -> None:
    with pytest.raises(RequestError, match=r"^messages\.1\.role: "):
        decode_messages_request(body([MESSAGES[0], {"role": "robot", "content": "x"}]))
    with pytest.raises(RequestError, match=r"^messages\.0\.content: Field required"):
        decode_messages_request(body([{"role": "user"}]))


NATIVE: list[Any] = [
    {"role": "user", "content": "a"},
    {"role": "user", "content": [{"type": "text", "text": " "}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "b", "odd": 1}], "id": "msg_1"},
    {"role": "system", "content": "c"},
    {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x.test/a"}}]},
    {
        "role": "user",
        "content": [{"type": "text", "text": "d", "cache_control": {"type": "ephemeral", "x": 1}}],
    },
]
TRAITS = [ModelTraits(), ModelTraits(takes_cache_control=False), ModelTraits(thinking=frozenset({"budget"}))]


@given(
    st.lists(st.lists(st.sampled_from(NATIVE), min_size=1, max_size=5), min_size=1, max_size=5),
    st.sampled_from(TRAITS),
)
def test_the_native_route_does_the_same_with_and_without_its_memory(
    conversations: list[list[Any]], traits: ModelTraits
) -> None:
    for messages in conversations:
        data = body(messages)
        remembered = sanitized_request(data, model="m", traits=traits)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native_messages, "_memory_for", lambda _traits: MessageMemory())
            assert sanitized_request(data, model="m", traits=traits) == remembered


def test_it_says_whether_messages_will_be_the_same_objects_again() -> None:
    memory = MessageMemory[bytes]()
    assert not memory.holds([b"1"], 1)
    handed = memory.decoded([b"1", b"2"], as_it_is)
    assert memory.holds(handed, 2)
    assert not memory.holds([*handed, b"3"], 3)
