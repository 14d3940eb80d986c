from __future__ import annotations

import msgspec
import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request, tools_from_json
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.tool_memory import MAX_ENTRY_BYTES, Memory
from ccr.protocol.traits import ModelTraits


def body(tools: bytes) -> bytes:
    return b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":' + tools + b"}"


def test_the_newest_are_remembered() -> None:
    memory: Memory[str, int] = Memory(2)
    for number, key in enumerate("abc"):
        memory.put(key, number)
    assert [memory.get(key) for key in "abc"] == [None, 1, 2]


def test_the_same_bytes_are_decoded_once() -> None:
    data = b'[{"name":"once","input_schema":{"type":"object"}}]'
    assert tools_from_json(data) is tools_from_json(bytes(bytearray(data)))


def test_a_list_too_large_is_not_kept() -> None:
    data = msgspec.json.encode([{"name": "large", "description": "x" * MAX_ENTRY_BYTES}])
    assert tools_from_json(data) == tools_from_json(data)
    assert tools_from_json(data) is not tools_from_json(data)


@pytest.mark.parametrize(("tools", "words"), [(b'"x"', "tools: "), (b'[{"name":5}]', r"tools\.0\.name: ")])
def test_what_is_no_list_of_tools_is_refused_each_time(tools: bytes, words: str) -> None:
    for _ in range(2):
        with pytest.raises(RequestError, match=words):
            decode_messages_request(body(tools))


def test_no_tools() -> None:
    assert decode_messages_request(body(b"null")).tools is None


def test_a_request_does_not_see_what_another_did_to_its_tools() -> None:
    mark = b',"cache_control":{"type":"ephemeral"}'
    listed = b",".join(
        b'{"name":"t%d","input_schema":{"type":"object"}%s}' % (number, mark) for number in range(5)
    )
    request = decode_messages_request(body(b"[" + listed + b"]"))
    first = chat_request_from_messages(request, model="m", traits=ModelTraits())
    again = chat_request_from_messages(request, model="m", traits=ModelTraits())
    assert first == again
    assert ["cache_control" in tool for tool in first.chat["tools"]] == [False, True, True, True, True]
    del first.chat["tools"][1]["cache_control"]
    third = chat_request_from_messages(request, model="m", traits=ModelTraits())
    assert third == again
    other = chat_request_from_messages(request, model="m", traits=ModelTraits(takes_cache_control=False))
    assert "cache_control_dropped" in other.rules
    assert not any("cache_control" in tool for tool in other.chat["tools"])
