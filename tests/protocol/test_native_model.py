"""What routing is told of a request for the native route; its refusals are those of the chat route."""

from __future__ import annotations

import json

import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.native_request import request_from_json, sanitized_request
from tests.protocol.chat_requests import PLAIN_CLAUDE

GOOD = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "u"}]}


def test_the_model_is_told_whatever_else_is_there() -> None:
    changes: list[dict[str, object]] = [{}, {"tomorrow": [{"a": 1}]}]
    for more in changes:
        assert request_from_json(json.dumps({**GOOD, **more}).encode()).model == "claude-sonnet-4-5"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"model":"\xff","messages":[]}',
        *(
            json.dumps({**GOOD, **change}).encode()
            for change in (
                {"model": 7},
                {"model": ""},
                {"model": "https://x"},
                {"model": "a\n"},
                {"messages": [], "model": ""},
            )
        ),
    ],
)
def test_a_fault_is_the_one_that_the_chat_route_finds(data: bytes) -> None:
    with pytest.raises(RequestError) as expected:
        decode_messages_request(data)
    with pytest.raises(RequestError) as caught:
        request_from_json(data)
    assert caught.value.message == expected.value.message


@pytest.mark.parametrize("character", ["é", "模", "🙂"])
@pytest.mark.parametrize("size", [1, 4090, 20_000])
def test_text_is_checked_wherever_it_stands(character: str, size: int) -> None:
    for shift in range(5):
        body = {**GOOD, "metadata": {"user_id": "x" * shift + character * size}}
        data = json.dumps(body, ensure_ascii=False).encode()
        assert request_from_json(data).model == "claude-sonnet-4-5"
        at = data.rindex(character.encode())
        with pytest.raises(RequestError, match="invalid UTF-8"):
            request_from_json(data[:at] + data[at + 1 :])


@pytest.mark.parametrize("bad", [b"\xff", b"\x80" * 5000, b"\xed\xa0\x80", b"\xc3", b"a" * 4100 + b"\x80"])
def test_text_that_is_no_utf_8_is_refused(bad: bytes) -> None:
    for fill in (0, 4000, 4095, 9000):
        text = b"e" * fill + bad + b"e"
        data = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % text
        with pytest.raises(RequestError, match="invalid UTF-8"):
            request_from_json(data)


@pytest.mark.parametrize("change", [{"max_tokens": 0}, {"max_tokens": -1}, {"model": " "}])
def test_an_impossible_value_is_refused(change: dict[str, object]) -> None:
    data = json.dumps({**GOOD, **change}).encode()
    with pytest.raises(RequestError) as expected:
        decode_messages_request(data)
    with pytest.raises(RequestError) as caught:
        sanitized_request(data, model="m", traits=PLAIN_CLAUDE)
    assert caught.value.message == expected.value.message
