"""Chat requests of clients: relayed with every key and every number as written."""

from __future__ import annotations

import json

import pytest

from ccr.errors import RequestError
from ccr.protocol.openai import decode_chat_request, encode_chat_request

EXACT = (
    '{"model":"p,m","messages":[{"role":"user","content":"é","name":"n"},'
    '{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function",'
    '"function":{"name":"f","arguments":"{\\"a\\": 1.10}"},"x":1.50}]},'
    '{"role":"tool","tool_call_id":"t","content":[{"type":"text","text":"o"}]}],'
    '"temperature":1.0,"seed":123456789012345678901234567890,"stream":true,'
    '"tools":[{"type":"function","function":{"name":"f","parameters":{"z":1.10,"a":1e400}}}],"user":"u"}'
)


def test_unknown_keys_and_numbers_are_kept() -> None:
    assert encode_chat_request(decode_chat_request(EXACT.encode())).decode() == EXACT


def test_what_ccr_reads_is_decoded() -> None:
    chat = decode_chat_request(EXACT.encode())
    assert (chat["model"], chat["stream"]) == ("p,m", True)
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "tool"]
    assert chat["messages"][0]["content"] == "é"
    assert chat["messages"][2]["content"] == [{"type": "text", "text": "o"}]


@pytest.mark.parametrize(
    ("extra", "key", "value"),
    [('"stream":null', "stream", False), ('"tools":null', "tools", []), ('"tools":[]', "tools", [])],
)
def test_null_means_absent(extra: str, key: str, value: object) -> None:
    data = f'{{"model":"m","messages":[{{"role":"user"}}],{extra}}}'
    assert json.loads(encode_chat_request(decode_chat_request(data.encode())))[key] == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The request body is not valid JSON"),
        (b"[]", "body: Input should be a valid object, got list"),
        (b'{"messages":[]}', "model: Field required"),
        (b'{"model":"m"}', "messages: Field required"),
        (b'{"model":3,"messages":[]}', "model: Input should be a valid string, got integer"),
        (b'{"model":"http://x","messages":[]}', "model: must be a name, not a URL"),
        (b'{"model":"m","messages":[]}', "messages: at least one message is required"),
        (b'{"model":"m","messages":"x"}', "messages: Input should be a valid list, got string"),
        (b'{"model":"m","messages":[1]}', "messages.0: Input should be a valid object, got integer"),
        (b'{"model":"m","messages":[{}]}', "messages.0.role: Field required"),
        (b'{"model":"m","messages":[{"role":1}]}', "messages.0.role: Input should be a valid string"),
        (b'{"model":"m","messages":[{"role":"user","content":1}]}', "messages.0.content: Input should be"),
        (
            b'{"model":"m","messages":[{"role":"user","content":[1]}]}',
            "messages.0.content.0: Input should be a valid object, got integer",
        ),
        (b'{"model":"m","messages":[{"role":"user","tool_calls":1}]}', "messages.0.tool_calls: Input should"),
        (b'{"model":"m","messages":[{"role":"user"}],"tools":1}', "tools: Input should be a valid list"),
        (b'{"model":"m","messages":[{"role":"user"}],"stream":1}', "stream: Input should be a valid boolean"),
        (
            b'{"model":"m","messages":[{"role":"user"}],"x":"\xff"}',
            "The request body is not valid JSON: invalid",
        ),
        (b'{"model":"m","messages":[{"role":"user"}],"x":NaN}', "The request body is not valid JSON"),
        (b'{"model":"m","x":' + b"[" * 100_000, "The request body is not valid JSON: nested too deeply"),
    ],
)
def test_malformed_bodies_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_chat_request(data)
    assert caught.value.message.startswith(message)
    assert caught.value.status == 400
