"""What is read of a Messages request, and how everything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.protocol.anthropic import (
    Block,
    ExtendedMessagesRequest,
    MessagesRequest,
    checked_text,
    decode_count_request,
    decode_messages_request,
)

ONE = '"messages":[{"role":"user","content":"hi"}]'
DEEP = b'{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":'


def test_everything_that_is_read() -> None:
    body = b"""{"model": "m", "max_tokens": 5, "stream": true, "temperature": 1, "top_k": 3,
      "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
      "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
      "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
      "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
      "tools": [{"name": "T", "input_schema": {"b": 1.10, "a": 123456789012345678901234567890}}],
      "messages": [{"role": "user", "content": [{"type": "new", "novel_key": 1},
        {"type": "tool_result", "tool_use_id": "t", "content": null}]}]}"""
    request = decode_messages_request(body)
    assert (request.model, request.max_tokens, request.stream, request.temperature) == ("m", 5, True, 1)
    assert isinstance(request.system, list)
    assert request.system[0].cache_control is not None
    assert request.thinking is not None
    assert request.thinking.budget_tokens == 2000
    assert request.tools is not None
    assert bytes(request.tools[0].input_schema) == b'{"b": 1.10, "a": 123456789012345678901234567890}'
    assert request.messages[0].content == [Block("new"), Block("tool_result", tool_use_id="t")]


@pytest.mark.parametrize(
    ("tool_type", "is_server_tool"),
    [(None, False), ("custom", False), ("web_search_20250305", True), ("bash_20250124", True)],
)
def test_server_tools_are_told_by_their_type(tool_type: str | None, *, is_server_tool: bool) -> None:
    data = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        | {"tools": [{"name": "t", "type": tool_type}]}
    )
    tools = decode_messages_request(data.encode()).tools
    assert tools is not None
    assert tools[0].is_server_tool is is_server_tool


def test_unknown_keys_of_the_body_show_in_the_type_only() -> None:
    plain = decode_messages_request(f'{{"model":"m",{ONE}}}'.encode())
    extended = decode_messages_request(f'{{"model":"m","speed":"fast",{ONE}}}'.encode())
    assert not isinstance(plain, ExtendedMessagesRequest)
    assert isinstance(extended, ExtendedMessagesRequest)
    assert extended.messages == plain.messages


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The request body is not valid JSON: "),
        (b"nonsense", "The request body is not valid JSON: "),
        (b'{"model":"m"', "The request body is not valid JSON: "),
        (b"[]", "body: Input should be a valid object, got list"),
        (b'"text"', "body: Input should be a valid object, got string"),
        (b"{}", "model: Field required"),
        (b'{"model":"m"}', "messages: Field required"),
        (b'{"model":"m","messages":[]}', "messages: at least one message is required"),
        pytest.param(
            b'{"model":"m","messages":[' + b"{}," * 100_000 + b"{}]}",
            "messages: at most 100000 messages are taken, got 100001",
            id="too many messages",
        ),
        (b'{"model":"m","messages":7}', "messages: Input should be a valid list, got integer"),
        (b'{"model":"m","messages":[{"role":"user"}]}', "messages.0.content: Field required"),
        (
            b'{"model":"m","messages":[{"role":"user","content":5}]}',
            "messages.0.content: Input should be a valid string or list, got integer",
        ),
        (
            b'{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}',
            "messages.0.content.0.type: Field required",
        ),
        (b'{"model":"m","messages":[{"role":"tool","content":"x"}]}', "messages.0.role: unexpected value"),
        (f'{{"model":1,{ONE}}}', "model: Input should be a valid string, got integer"),
        (f'{{"model":null,{ONE}}}', "model: Input should be a valid string, got null"),
        (
            f'{{"model":"m","max_tokens":"9",{ONE}}}',
            "max_tokens: Input should be a valid integer, got string",
        ),
        (
            f'{{"model":"m","max_tokens":1.5,{ONE}}}',
            "max_tokens: Input should be a valid integer, got number",
        ),
        (f'{{"model":"m","max_tokens":0,{ONE}}}', "max_tokens: must be greater than or equal to 1"),
        (f'{{"model":"m","stream":"yes",{ONE}}}', "stream: Input should be a valid boolean, got string"),
        (f'{{"model":"m","temperature":NaN,{ONE}}}', "The request body is not valid JSON: "),
        (f'{{"model":"m","temperature":1e400,{ONE}}}', "temperature: Number out of range"),
        (f'{{"model":"m","new":1,"top_k":"x",{ONE}}}', "top_k: Input should be a valid integer, got string"),
        (f'{{"model":"m","tool_choice":{{"type":"most"}},{ONE}}}', "tool_choice.type: unexpected value"),
        (
            b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
            "The request body is not valid JSON: ",
        ),
        (
            b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
            "The request body is not valid JSON: invalid UTF-8",
        ),
        (
            DEEP + b'[{"type":"t","content":' * 100_000,
            "The request body is not valid JSON: nested too deeply",
        ),
        (b'{"x":' + b"[" * 100_000, "The request body is not valid JSON: nested too deeply"),
    ],
)
def test_malformed_bodies_are_refused_with_the_key_path(data: bytes | str, message: str) -> None:
    body = data.encode() if isinstance(data, str) else data
    for decode in (decode_messages_request, decode_count_request):
        with pytest.raises(RequestError) as caught:
            decode(body)
        assert caught.value.message.startswith(message)
        assert (caught.value.status, caught.value.error_type) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "model",
    [
        "",
        "  ",
        "a\nb",
        "a\x00",
        "a\x7f",
        "a\u202eb",
        "http://host/x",
        "provider,https://x",
        "//host/x",
        "../x",
        "a/../b",
        "provider,..",
        "a\\..\\b",
        "x" * 257,
    ],
)
def test_model_names_that_are_more_than_names_are_refused(model: str) -> None:
    with pytest.raises(RequestError, match=r"^model: "):
        decode_messages_request(f'{{"model":{json.dumps(model)},{ONE}}}'.encode())


@pytest.mark.parametrize(
    "model", ["m", "provider,model", "vendor/model", "a.b-c_d:1[1m]", "modèle 2", "a..b"]
)
def test_model_names_may_hold_commas_and_slashes(model: str) -> None:
    assert decode_messages_request(f'{{"model":{json.dumps(model)},{ONE}}}'.encode()).model == model


def test_text_of_bytes_that_were_passed_over() -> None:
    assert checked_text("é".encode()) == "é"
    with pytest.raises(RequestError, match="invalid UTF-8"):
        checked_text(b"\xff")


WORDS = st.text('ab\\"é\ud800 0', max_size=4)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["model", "messages", "system", "tools", "max_tokens", "thinking", "stream", "new"])


@given(st.dictionaries(KEYS, JSON_VALUES) | st.binary())
def test_any_body_is_read_or_refused_with_400(body: dict[str, Any] | bytes) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    outcome = request_or_error(data)
    if isinstance(outcome, RequestError):
        assert (outcome.status, outcome.error_type) == (400, "invalid_request_error")
    else:
        assert outcome.messages


def request_or_error(data: bytes) -> MessagesRequest | RequestError:
    try:
        return decode_messages_request(data)
    except RequestError as error:
        return error
