"""What a request in the OpenAI chat format may be: the format's own rules, and no vendor's. Pure."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]
KEYS = {
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature"),
    *("top_p", "stop", "n", "tools", "tool_choice", "parallel_tool_calls", "response_format", "seed", "user"),
    *("frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort"),
}
MESSAGE_KEYS = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal"},
    "tool": {"role", "content", "tool_call_id"},
}


def what_is_wrong(headers: dict[str, str], data: bytes, extras: set[str]) -> str:
    """Return the first thing that is wrong, "" for nothing. extras: further keys of requests and messages."""
    if not headers.get("authorization", "").startswith("Bearer "):
        return "no bearer token"
    if headers.get("content-type") != "application/json":
        return "not sent as JSON"
    try:
        body = json.loads(data)
    except ValueError as error:
        return f"no JSON: {error}"
    if unknown := set(body) - KEYS - extras:
        return f"unknown keys {sorted(unknown)}"
    if body.get("stream_options") and not body.get("stream"):
        return "stream_options without stream"
    for key in ("max_tokens", "max_completion_tokens"):
        if key in body and (not isinstance(body[key], int) or body[key] < 1):
            return f"{key} is {body[key]!r}"
    return _wrong_messages(body.get("messages"), extras) or _wrong_tools(body, extras)


def _wrong_messages(messages: Any, extras: set[str]) -> str:
    if not isinstance(messages, list) or not messages:
        return "no messages"
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in MESSAGE_KEYS:
            return f"messages[{number}]: role {role!r}"
        if unknown := set(message) - MESSAGE_KEYS[role] - extras:
            return f"messages[{number}] ({role}): unknown keys {sorted(unknown)}"
        if role == "system" and number:
            return f"messages[{number}]: a system message that is not the first"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                return f"messages[{number}]: the result of no call"
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return f"messages[{number}]: calls without results {sorted(open_calls)}"
        open_calls |= {call["id"] for call in message.get("tool_calls", ())}
        if wrong := _wrong_content(message, extras):
            return f"messages[{number}]: {wrong}"
    return ""


def _wrong_content(message: Json, extras: set[str]) -> str:
    content = message.get("content")
    if content is None:
        return "" if message["role"] == "assistant" and message.get("tool_calls") else "no content"
    if isinstance(content, str):
        return "" if content or message["role"] == "tool" else "empty content"
    for part in content:
        allowed = {"text": {"type", "text"}, "image_url": {"type", "image_url"}}.get(part.get("type"))
        if allowed is None:
            return f"a part of type {part.get('type')!r}"
        if unknown := set(part) - allowed - extras:
            return f"unknown keys of a part {sorted(unknown)}"
    return "" if content else "empty content"


def _wrong_tools(body: Json, extras: set[str]) -> str:
    for tool in body.get("tools", ()):
        if set(tool) - extras != {"type", "function"} or tool["type"] != "function":
            return f"a tool with {sorted(tool)}"
        if tool["function"].get("parameters", {}).get("type") != "object":
            return f"tool {tool['function'].get('name')!r}: parameters that are no object"
    choice = body.get("tool_choice")
    if choice is not None and not isinstance(choice, dict) and choice not in ("auto", "none", "required"):
        return f"tool_choice {choice!r}"
    return "tool_choice without tools" if choice and not body.get("tools") else ""
