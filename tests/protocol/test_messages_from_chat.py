"""Chat requests that were made for Claude, as requests of the Messages API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_responses import chat_from_responses
from ccr.protocol.messages_from_chat import messages_body_from_chat
from ccr.protocol.responses_for_model import chat_for_model
from ccr.protocol.responses_reasoning import encrypted_content
from tests.protocol.chat_requests import BUDGET
from tests.protocol.responses_requests import Json, request_of

MARK = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {"type": "object", "properties": {"a": {"const": 2**70}}}
READ = {"type": "function", "name": "read", "description": "Reads.", "parameters": SCHEMA}
NOW = {"type": "function", "name": "now"}
HI = {"role": "user", "content": "hello"}
PNG, PDF = "data:image/png;base64,iVBO", "data:application/pdf;base64,JVBE"


def body_of(**asked: Any) -> Json:
    request = request_of(**asked)
    chat, _ = chat_for_model(chat_from_responses(request).chat, is_summary_wanted=False, traits=BUDGET)
    data = messages_body_from_chat(chat)
    decode_messages_request(data)
    return dict(json.loads(data))


def test_a_conversation() -> None:
    call = {"type": "function_call", "name": "read", "arguments": '{"a":1}'}
    items = [
        HI,
        {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("Hm.", "s1")},
        {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("", "", "d1")},
        {"role": "assistant", "content": "Wait."},
        {**call, "call_id": "c1"},
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        },
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": PNG},
                {"type": "input_image", "image_url": "https://x/a.png"},
                {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
            ],
        },
        {"role": "assistant", "content": "Yes."},
        HI,
    ]
    body = body_of(
        instructions="Be kind.",
        input=items,
        tools=[READ, NOW],
        reasoning={"effort": "low"},
        stream=True,
        max_output_tokens=9000,
    )
    assert body == {
        "model": "m",
        "system": [{"type": "text", "text": "Be kind.", **MARK}],
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
                    {"type": "redacted_thinking", "data": "d1"},
                    {"type": "text", "text": "Wait."},
                    {"type": "tool_use", "id": "c1", "name": "read", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c2", "name": "read", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                    },
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
            {"role": "user", "content": [{"type": "text", "text": "hello", **MARK}]},
        ],
        "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 4000},
        "stream": True,
        "tools": [
            {"name": "read", "description": "Reads.", "input_schema": SCHEMA},
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ],
    }


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "name": "read"}, {"type": "tool", "name": "read"}),
    ],
)
def test_choices(choice: Any, sent: Json) -> None:
    assert body_of(tools=[READ], tool_choice=choice)["tool_choice"] == sent


def test_calls_alone() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "now", "arguments": ""}
    body = body_of(input=[HI, call, {"type": "function_call_output", "call_id": "c1", "output": "x"}])
    assert body["messages"][1]["content"] == [{"type": "tool_use", "id": "c1", "name": "now", "input": {}}]
    assert "system" not in body


def test_sounds_are_refused() -> None:
    with pytest.raises(RequestError, match="no audio"):
        body_of(input=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])
