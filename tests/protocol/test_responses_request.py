"""The body of a request of the Responses API: what is taken, dropped by a named rule, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.errors import RequestError
from ccr.protocol.responses_request import decode_responses_request
from tests.protocol.responses_requests import converted, refusal_of, request_of


def test_a_text_is_a_message_of_the_user() -> None:
    request = request_of(input="hello")
    assert request.items == [{"role": "user", "content": "hello"}]
    assert (request.effort, request.is_summary_wanted, request.is_reasoning_included) == (None, False, False)


@pytest.mark.parametrize(
    ("reasoning", "effort", "is_wanted"),
    [
        (None, None, False),
        ({"effort": "high"}, "high", False),
        ({"summary": "auto"}, None, True),
        ({"generate_summary": "concise"}, None, True),
        ({"summary": "none"}, None, False),
    ],
)
def test_what_is_wanted_of_thinking(reasoning: Any, effort: str | None, *, is_wanted: bool) -> None:
    request = request_of(reasoning=reasoning, include=["reasoning.encrypted_content"])
    assert (request.effort, request.is_summary_wanted) == (effort, is_wanted)
    assert request.is_reasoning_included


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": "a/../b"}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hello"]}, "input.0"),
        ({"tools": {}}, "tools"),
        ({"tools": ["read"]}, "tools.0"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"include": "all"}, "include"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"user": 3}, "user"),
    ],
)
def test_refusals_name_the_parameter(body: dict[str, Any], param: str) -> None:
    error = refusal_of(**body)
    assert error.param is not None
    assert error.param.startswith(param.partition(".")[0])
    assert error.message.startswith(error.param)
    assert param in error.message or error.param == param


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"model":"m","input":"\xff"}', None),
        (b'{"model":"m"}', "input"),
        (b'{"input":"x"}', "model"),
        (b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
)
def test_what_is_no_request(data: bytes, param: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        decode_responses_request(data)
    assert caught.value.param == param


def test_what_stands_in_for_kept_conversations_is_said() -> None:
    assert "Send the whole history as `input`" in refusal_of(previous_response_id="resp_1").message


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": None, "conversation": None, "prompt": None, "background": False},
        {"store": False, "truncation": "disabled", "include": [], "metadata": {}, "top_logprobs": 0},
        {"stream_options": None, "max_tool_calls": None, "context_management": None, "new": None},
        {"stream_options": {"include_obfuscation": False}, "service_tier": "auto"},
    ],
)
def test_what_says_nothing_needs_no_rule(body: dict[str, Any]) -> None:
    found = converted(**body)
    assert found.rules == ()
    assert found.chat == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"store": True}, "store_dropped"),
        ({"truncation": "auto"}, "truncation_dropped"),
        ({"max_tool_calls": 3}, "max_tool_calls_dropped"),
        ({"metadata": {"a": "b"}}, "metadata_dropped"),
        ({"stream_options": {"include_obfuscation": True}}, "obfuscation_dropped"),
        ({"top_logprobs": 2}, "logprobs_dropped"),
        ({"include": ["message.output_text.logprobs"]}, "logprobs_dropped"),
        ({"include": ["web_search_call.results"]}, "include_dropped"),
        ({"context_management": [{"type": "compaction"}]}, "context_management_dropped"),
        ({"client_metadata": {"a": "b"}}, "unknown_fields_dropped"),
    ],
)
def test_what_is_sent_to_nobody_is_dropped_by_a_rule(body: dict[str, Any], rule: str) -> None:
    found = converted(**body)
    assert found.rules == (rule,)
    assert set(found.chat) == {"model", "messages"}
