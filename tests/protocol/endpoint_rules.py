"""What Databricks' chat endpoints demand of a request (databricks.md §2), written down again."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

TOP_LEVEL = {
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "stream",
    "thinking",
    "output_config",
}
KEYS_OF_ROLE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PARTS_OF_ROLE = {
    "system": {"text"},
    "user": {"text", "image_url", "file"},
    "assistant": {"reasoning", "text"},
    "tool": {"text"},
}
KEYS_OF_PART = {
    "text": {"type", "text", "cache_control"},
    "image_url": {"type", "image_url", "cache_control"},
    "file": {"type", "file", "cache_control"},
    "reasoning": {"type", "summary"},
}


GEMINI_KEYWORDS = {
    *(
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "default",
        "items",
        "properties",
        "required",
    ),
    *("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"),
}


def violations(chat: Json, family: str = "claude") -> list[str]:
    """Return every demand the request does not meet; empty for one that the endpoint takes."""
    unknown = {"reasoning_effort"} if family == "claude" else {"thinking", "output_config"}
    allowed = (TOP_LEVEL | {"reasoning_effort"}) - unknown
    found = [f"unknown key {key}" for key in chat.keys() - allowed]
    messages = chat["messages"]
    found += _family(chat, family)
    found += _order(messages)
    found += _ids(messages)
    marks = [tool["cache_control"] for tool in chat.get("tools", []) if "cache_control" in tool]
    for message in messages:
        found += _message(message)
        if isinstance(message.get("content"), list):
            marks += [part["cache_control"] for part in message["content"] if "cache_control" in part]
    found += [f"cache_control {mark}" for mark in marks if mark != {"type": "ephemeral"}]
    if len(marks) > 4:
        found.append("more than four cache breakpoints")
    if "tools" in chat and not chat["tools"]:
        found.append("empty tools")
    if "tool_choice" in chat and "tools" not in chat:
        found.append("tool_choice without tools")
    return found + _thinking(chat)


def _family(chat: Json, family: str) -> list[str]:
    found = []
    messages = chat["messages"]
    if family in ("gpt-oss", "llama") and any(len(message.get("tool_calls", [])) > 1 for message in messages):
        found.append("Multiple tool calls are not supported.")
    if family == "llama":
        sides = ["user" if each["role"] in ("user", "tool") else each["role"] for each in messages]
        sides = sides[1:] if sides[:1] == ["system"] else sides
        if any(side == after for side, after in pairwise(sides)):
            found.append("Chat message input roles must alternate")
    if family == "gemini":
        for tool in chat.get("tools", []):
            if "parameters" in tool["function"]:
                found += gemini_violations(tool["function"]["parameters"])
    return found


def gemini_violations(schema: Json) -> list[str]:
    found = [f"unknown keyword {key}" for key in schema.keys() - GEMINI_KEYWORDS]
    if not isinstance(schema.get("type"), str):
        found.append("no type")
    if schema.get("type") == "array" and "items" not in schema:
        found.append("no items")
    found += [f"required {name}" for name in schema.get("required", []) if name not in schema["properties"]]
    found += ["enum of other values" for each in schema.get("enum", []) if not isinstance(each, str)]
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return found + [each for one in inner for each in gemini_violations(one)]


def _order(messages: list[Json]) -> list[str]:
    found = []
    roles = [message["role"] for message in messages]
    if "system" in roles[1:]:
        found.append("system is not first and once")
    spoken = [role for role in roles if role not in ("system", "tool")]
    if not spoken or spoken[0] != "user":
        found.append("the user does not begin")
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                found.append(f"result without call {message['tool_call_id']}")
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            found.append(f"calls without result {waiting}")
            waiting = []
        if message["role"] == "assistant":
            waiting = [call["id"] for call in message.get("tool_calls", [])]
    if waiting:
        found.append(f"calls without result at the end {waiting}")
    return found


def _ids(messages: list[Json]) -> list[str]:
    ids = [call["id"] for message in messages for call in message.get("tool_calls", [])]
    found = [f"malformed id {one!r}" for one in ids if not re.fullmatch(r"[a-zA-Z0-9_-]+", one)]
    return found + (["repeated ids"] if len(ids) != len(set(ids)) else [])


def _message(message: Json) -> list[str]:
    role = message["role"]
    found = [f"unknown key {role}.{key}" for key in message.keys() - KEYS_OF_ROLE[role]]
    content = message.get("content")
    if content is None:
        if role != "assistant" or not message.get("tool_calls"):
            found.append(f"{role} message without content")
        return found
    if isinstance(content, str):
        return found + ([f"blank {role} content"] if not content.strip() else [])
    if not content:
        found.append(f"empty {role} content")
    for part in content:
        kind = part["type"]
        found += [f"{kind} part in {role} message"] if kind not in PARTS_OF_ROLE[role] else []
        found += [f"unknown key {kind}.{key}" for key in part.keys() - KEYS_OF_PART[kind]]
        if kind == "text" and not part["text"].strip():
            found.append(f"blank text in {role} message")
    kinds = [part["type"] for part in content]
    if kinds != sorted(kinds, key=lambda kind: kind != "reasoning"):
        found.append("reasoning is not first")
    if set(kinds) == {"reasoning"} and not message.get("tool_calls"):
        found.append("a message that ends in reasoning")
    return found


def _thinking(chat: Json) -> list[str]:
    thinking = chat.get("thinking")
    if thinking is None:
        return []
    found = []
    if chat.get("temperature", 1) != 1 or "top_k" in chat or chat.get("top_p", 1) < 0.95:
        found.append("sampling beside thinking")
    if isinstance(chat.get("tool_choice"), dict) or chat.get("tool_choice") == "required":
        found.append("forced tool beside thinking")
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < chat["max_tokens"]:
        found.append("budget out of range")
    return found
