"""What a Databricks endpoint for Claude demands of a chat request (databricks.md §2), written down again."""

from __future__ import annotations

import re
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


def violations(chat: Json) -> list[str]:
    """Return every demand the request does not meet; empty for one that the endpoint takes."""
    found = [f"unknown key {key}" for key in chat.keys() - TOP_LEVEL]
    messages = chat["messages"]
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
