"""A whole message: the same bytes but for the model's name and Bedrock's key."""

from __future__ import annotations

import pytest

from ccr.errors import UpstreamError
from ccr.protocol.native_message import tap_message
from ccr.protocol.usage import Usage

BODY = (
    b'{"model":"us.anthropic.claude","id":"msg_1","type":"message","role":"assistant",'
    b'"content":[{"type":"tool_use","id":"t","name":"B","input":{"z":1.50,"a":123456789012345678901}}],'
    b'"stop_reason":"tool_use","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":4,"cache_creation_input_tokens":5,"service_tier":"standard"}}'
)


def test_a_message() -> None:
    tapped = tap_message(BODY, model="asked")
    assert tapped.body == BODY.replace(b"us.anthropic.claude", b"asked")
    assert tapped.usage == Usage(3, 4, 0, 5)
    assert tapped.stop_reason == "tool_use"
    assert tapped.rules == ()


def test_bedrocks_metrics_are_taken_out() -> None:
    with_metrics = BODY[:-1] + b',"amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}'
    tapped = tap_message(with_metrics, model="us.anthropic.claude")
    assert tapped.body == BODY
    assert tapped.rules == ("invocation_metrics_dropped",)


def test_nothing_is_invented() -> None:
    tapped = tap_message(b'{"content":[]}', model="asked")
    assert tapped == (b'{"content":[],"model":"asked"}', Usage(), None, ())


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 529, "Overloaded"),
        (b'{"error_code":"BAD_REQUEST","message":"no"}', 400, "dbx, asked: no"),
        (b'{"content":', 502, "dbx, asked: the answer is no message"),
        (b"[1]", 502, "dbx, asked: the answer is no message"),
        (b"<html><title>Sign in</title></html>", 502, "web page"),
        (b"", 502, "wrong workspace URL"),
    ],
)
def test_what_is_no_message_is_an_error(body: bytes, status: int, words: str) -> None:
    with pytest.raises(UpstreamError, match=r".") as caught:
        tap_message(body, model="asked", provider="dbx")
    assert caught.value.status == status
    assert words in caught.value.message
