"""Requests without the tag of a subagent (routing/subagent.py), in each dialect; nothing given is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Raw

from ccr.protocol.native_json import OBJECTS, STRING, JsonObject, decoded, first_byte, raw
from ccr.routing.facts import first_user_message
from ccr.routing.subagent import MARK, text_without_tag
from ccr.routing.views import ChatView, MessagesView, NativeView

if TYPE_CHECKING:
    from ccr.protocol.anthropic import Block, MessagesRequest
    from ccr.protocol.native_request import NativeRequest
    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.routing.subagent import Tag

RULE: Final = "subagent_tag_removed"
"""Name of the rule in records and metrics."""
_QUOTE: Final = ord('"')
_BRACKET: Final = ord("[")


def messages_without_tag(request: MessagesRequest, tag: Tag) -> MessagesRequest:
    """Return a Messages request without the tag."""
    messages = list(request.messages)
    first = first_user_message(MessagesView(request))
    if first is not None:
        content = _content(messages[first].content, tag, is_system=False)
        messages[first] = msgspec.structs.replace(messages[first], content=content)
    system = request.system
    if system is not None:
        system = _content(system, tag, is_system=True)
    return msgspec.structs.replace(request, system=system, messages=messages)


def native_without_tag(request: NativeRequest, tag: Tag) -> NativeRequest:
    """Return a native request without the tag; every message and block without one stays its bytes."""
    body = request.body
    messages = list(body.messages)
    first = first_user_message(NativeView(request))
    if first is not None and MARK in bytes(messages[first].get("content", b"")):
        content = _raw_content(messages[first]["content"], tag)
        messages[first] = {**messages[first], "content": content}
    system = body.system
    if isinstance(system, str):
        system = text_without_tag(system, tag, is_system=True)
    elif system is not None:
        system = [_raw_block(block, tag, is_system=True) for block in system]
    return request._replace(body=msgspec.structs.replace(body, system=system, messages=messages))


def chat_without_tag(chat: ChatRequest, tag: Tag) -> ChatRequest:
    """Return a chat request without the tag."""
    messages = list(chat["messages"])
    first = first_user_message(ChatView(chat, b""))
    for index, message in enumerate(messages):
        if index == first or message["role"] in ("system", "developer"):
            messages[index] = _chat_message(message, tag, is_system=index != first)
    return {**chat, "messages": messages}


def _content(content: str | list[Block], tag: Tag, *, is_system: bool) -> str | list[Block]:
    if isinstance(content, str):
        return text_without_tag(content, tag, is_system=is_system)
    return [
        block
        if block.type != "text" or block.text is None
        else msgspec.structs.replace(block, text=text_without_tag(block.text, tag, is_system=is_system))
        for block in content
    ]


def _raw_content(content: Raw, tag: Tag) -> Raw:
    """Return the content of the first message; bytes that are neither text nor list are left to others."""
    kind = first_byte(content)
    if kind == _QUOTE:
        return raw(text_without_tag(decoded(STRING, content), tag, is_system=False))
    if kind != _BRACKET:
        return content
    blocks = [_raw_block(block, tag, is_system=False) for block in OBJECTS.decode(content)]
    return raw(blocks)


def _raw_block(block: JsonObject, tag: Tag, *, is_system: bool) -> JsonObject:
    written = block.get("text")
    if written is None or MARK not in bytes(written):
        return block
    return {**block, "text": raw(text_without_tag(decoded(STRING, written), tag, is_system=is_system))}


def _chat_message(message: ChatMessage, tag: Tag, *, is_system: bool) -> ChatMessage:
    content: Any = message.get("content")
    if isinstance(content, str):
        content = text_without_tag(content, tag, is_system=is_system)
    elif isinstance(content, list):
        content = [
            {**part, "text": text_without_tag(part["text"], tag, is_system=is_system)}
            if isinstance(part.get("text"), str)
            else part
            for part in content
        ]
    return cast("ChatMessage", {**message, "content": content})
