"""Parameters that OpenAI's clients send and Claude on Databricks does not take; ccr never sends them itself.

Sources: databricks.md §2 (``response_format`` is not for Claude; token counts come in every chunk, so that
``stream_options`` asks for what is there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest, ContentPart

_ANY_OBJECT = (
    "Your answer must be one JSON object, and nothing else: no introduction, no explanation, no code fence."
)
_BY_SCHEMA = (
    "Your answer must be one JSON value that satisfies the JSON Schema below, and nothing else: "
    "no introduction, no explanation, no code fence.\n"
)


def stream_options_removed(chat: ChatRequest) -> ChatRequest:
    """Return the request without ``stream_options``: every chunk counts tokens as it is."""
    return _without(chat, "stream_options")


def response_format_as_instruction(chat: ChatRequest) -> ChatRequest:
    """Return the request with a wanted JSON format asked for in words, in its first system message."""
    wanted = cast("dict[str, Any]", chat).get("response_format")
    if wanted is None:
        return chat
    plain = _without(chat, "response_format")
    note = _instruction(msgspec.json.decode(msgspec.json.encode(wanted)))
    if note is None:
        return plain
    messages = plain["messages"]
    if messages and messages[0].get("role") in ("system", "developer"):
        plain["messages"] = [_with_text(messages[0], note), *messages[1:]]
    else:
        system: ChatMessage = {"role": "system", "content": note}
        plain["messages"] = [system, *messages]
    return plain


def _instruction(wanted: Any) -> str | None:
    """Return what asks for a format, None when it is text or nothing that is known."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return _ANY_OBJECT
    described = wanted.get("json_schema") if kind == "json_schema" else None
    schema = described.get("schema") if isinstance(described, dict) else None
    return _BY_SCHEMA + msgspec.json.encode(schema).decode() if schema is not None else None


def _with_text(message: ChatMessage, text: str) -> ChatMessage:
    content = message.get("content")
    given: list[ContentPart] = (
        content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
    )
    changed = message.copy()
    changed["content"] = [*given, {"type": "text", "text": text}]
    return changed


def _without(chat: ChatRequest, key: str) -> ChatRequest:
    if key not in chat:
        return chat
    return cast("ChatRequest", {name: value for name, value in chat.items() if name != key})
