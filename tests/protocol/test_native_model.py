"""What routing is told of a request for the native route; its refusals are those of the chat route."""

from __future__ import annotations

import json

import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.native_body import model_in
from ccr.protocol.native_request import sanitized_request
from tests.protocol.chat_requests import PLAIN_CLAUDE

GOOD = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "u"}]}


def test_the_model_is_told_whatever_else_is_there() -> None:
    changes: list[dict[str, object]] = [{}, {"tomorrow": [{"a": 1}]}, {"messages": []}]
    for more in changes:
        assert model_in(json.dumps({**GOOD, **more}).encode()) == "claude-sonnet-4-5"


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
                {"model": None},
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
        model_in(data)
    assert caught.value.message == expected.value.message


@pytest.mark.parametrize("change", [{"max_tokens": 0}, {"max_tokens": -1}, {"model": " "}])
def test_an_impossible_value_is_refused(change: dict[str, object]) -> None:
    data = json.dumps({**GOOD, **change}).encode()
    with pytest.raises(RequestError) as expected:
        decode_messages_request(data)
    with pytest.raises(RequestError) as caught:
        sanitized_request(data, model="m", traits=PLAIN_CLAUDE)
    assert caught.value.message == expected.value.message
