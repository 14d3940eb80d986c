from __future__ import annotations

import msgspec
import pytest

from ccr.errors import ProtocolError
from ccr.protocol.completion import Function, decode_chunk, decode_completion, is_json_object

NOT_CHUNKS = {
    "no JSON": b"<html>",
    "cut": b'{"choices": [',
    "no object": b"[1]",
    "wrong type": b'{"choices": {"a": 1}}',
    "not UTF-8": b'{"choices": [{"delta": {"content": "\xff"}}]}',
    "too deep": b'{"choices": ' + b"[" * 200_000,
    "too deep, with half a surrogate": b'{"a": "\\ud800", "choices": ' + b"[" * 200_000,
}


@pytest.mark.parametrize("data", NOT_CHUNKS.values(), ids=NOT_CHUNKS.keys())
def test_what_is_no_chunk(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_chunk(data)
    with pytest.raises(ProtocolError):
        decode_completion(data)


@pytest.mark.parametrize(
    ("data", "is_error"),
    [
        (b'{"choices": []}', False),
        (b'{"choices": null, "usage": null, "error": null}', False),
        (b'{"error": {"message": "x"}}', True),
        (b'{"error": "x", "choices": []}', True),
        (b'{"error_code": "BAD_REQUEST", "message": "x"}', True),
        (b'{"message": "x"}', True),
        (b'{"message": "x", "choices": []}', False),
    ],
)
def test_errors_in_place_of_a_chunk(data: bytes, is_error: bool) -> None:
    assert decode_chunk(data).is_error is is_error


def test_numbers_may_be_strings() -> None:
    chunk = decode_chunk(b'{"usage": {"prompt_tokens": "12", "completion_tokens": 3.0}}')
    assert chunk.usage is not None
    assert (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) == (12, 3)


def test_half_a_surrogate_pair_is_replaced_and_nothing_else() -> None:
    chunk = decode_chunk(
        b'{"choices": [{"delta": {"content": "\\ud83d\\ude00 \\\\ud83d \\ud83d. \\ude00\\n"}}]}'
    )
    assert chunk.choices is not None
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == "😀 \\ud83d \ufffd. \ufffd\n"
    assert chunk.is_repaired


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"null", ""),
        (b'"{\\"a\\":1}"', '{"a":1}'),
        (b'{"n": 1.50, "b": 12345678901234567890123}', '{"n": 1.50, "b": 12345678901234567890123}'),
    ],
)
def test_arguments_text(raw: bytes, text: str) -> None:
    assert Function(arguments=msgspec.Raw(raw)).arguments_text() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", True),
        (' {"a": [1, 2.50, "x"]}\n', True),
        ('{"a": "\\ud83d"}', True),
        ("", False),
        ("[]", False),
        ("null", False),
        ('{"a": 1', False),
        ('{"a": }', False),
        ('{"a": 1}}', False),
        ('{"a": NaN}', False),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, False),
        ('{"a": "\\ud83d", "b":' + "[" * 100_000 + "}", False),
    ],
)
def test_is_json_object(text: str, expected: bool) -> None:
    assert is_json_object(text) is expected
