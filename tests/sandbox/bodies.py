"""Requests that the sandbox takes; tests change one thing and look."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

from ccr.sandbox.signatures import redacted_data_of, signature_of

OLD = "databricks-claude-sonnet-4-5"
NEW = "databricks-claude-opus-4-8"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
PDF = base64.b64encode(b"%PDF-1.7 rest").decode()
Body = dict[str, Any]
Change = Callable[[Body], object]


def chat_body(**fields: Any) -> Body:
    return {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4000} | fields


def function_tool(name: str = "Bash", **fields: Any) -> Body:
    function = {"name": name, "description": "runs", "parameters": {"type": "object", "properties": {}}}
    return {"type": "function", "function": function | fields}


def reasoning(text: str = "I think", model: str = OLD) -> Body:
    entry = {"type": "summary_text", "text": text, "signature": signature_of(model, text)}
    return {"type": "reasoning", "summary": [entry]}


def redacted(text: str = "hidden", model: str = OLD) -> Body:
    entry = {"type": "summary_encrypted_text", "data": redacted_data_of(model, text)}
    return {"type": "reasoning", "summary": [entry]}


def tool_call(call_id: str = "toolu_1", name: str = "Bash", arguments: str = '{"command": "ls"}') -> Body:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_loop(**fields: Any) -> Body:
    """A whole tool loop with thinking, media, caching: everything that is allowed at once."""
    messages = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [reasoning(), redacted(), {"type": "text", "text": "I look."}],
            "tool_calls": [tool_call("toolu_1"), tool_call("toolu_2", arguments="{}")],
        },
        {"role": "tool", "tool_call_id": "toolu_2", "content": [{"type": "text", "text": "b"}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "a"},
        {"role": "user", "content": "go on"},
    ]
    body = {
        "messages": messages,
        "max_tokens": 4000,
        "tools": [function_tool("Bash"), function_tool("Read") | {"cache_control": {"type": "ephemeral"}}],
        "tool_choice": "auto",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "temperature": 1,
        "stop": ["END"],
        "stream": True,
    }
    return copy.deepcopy(body) | fields


def native_body(**fields: Any) -> Body:
    return {"model": OLD, "max_tokens": 4000, "messages": [{"role": "user", "content": "hello"}]} | fields


def native_loop(**fields: Any) -> Body:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    document = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    }
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "look"} | cached, image, document]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I think", "signature": signature_of(OLD, "I think")},
                {"type": "redacted_thinking", "data": redacted_data_of(OLD, "hidden")},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
                {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "a"}, image],
                },
                {"type": "text", "text": "go on"},
            ],
        },
    ]
    body = {
        "model": OLD,
        "max_tokens": 4000,
        "messages": messages,
        "system": [{"type": "text", "text": "You help."} | cached],
        "tools": [{"name": "Bash", "description": "runs", "input_schema": {"type": "object"}} | cached],
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["END"],
        "stream": True,
    }
    return copy.deepcopy(body) | fields


def changed(body: Body, path: str, value: object = ...) -> Body:
    """The body with the value at ``a.0.b`` replaced, or removed when none is given."""
    result = copy.deepcopy(body)
    *parents, last = path.split(".")
    place: Any = result
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return result
