"""The requests of the three dialects as the rules see them (`facts.View`). Nothing is decoded twice.

On the native route messages are bytes still: only those that a rule asks for are decoded, which are one or
two of many.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Raw

from ccr.protocol.anthropic import ABSENT, Block
from ccr.protocol.media_tokens import inline_tokens
from ccr.protocol.native_json import JsonObject, decoded, encode
from ccr.protocol.tokens import (
    BYTES_PER_JSON_TOKEN,
    BYTES_PER_TEXT_TOKEN,
    TOOL_PROMPT_TOKENS,
    count_request_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.native_body import NativeBody
    from ccr.protocol.native_request import NativeRequest
    from ccr.protocol.openai import ChatRequest
    from ccr.routing.facts import Content

_CONTENT: Final[msgspec.json.Decoder[str | list[Block] | None]] = msgspec.json.Decoder(
    str | list[Block] | None
)
_BLOCKS: Final = msgspec.json.Decoder(list[Block])
_EFFORT: Final[msgspec.json.Decoder[str | None]] = msgspec.json.Decoder(str | None)
_TOOL_RESULT: Final = b"tool_result"
_NO_BYTES: Final = Raw(b"null")
_INLINE: Final = re.compile(
    rb'"data"\s*:\s*"([A-Za-z0-9+/=\\]*)"|data:[a-z]+/[a-z.+-]+;base64,([A-Za-z0-9+/=\\]*)'
)
_CHAT_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_CHAT_ALWAYS_EFFORT: Final = "medium"
"""Clients of the chat API ask for no effort by themselves, and the models' own default is this."""


class MessagesView:
    """A decoded Messages request."""

    always_effort = None

    def __init__(self, request: MessagesRequest) -> None:
        self._request = request
        self.model = request.model
        self.count = len(request.messages)

    def metadata(self) -> Raw:
        """Return what the client says about itself."""
        return self._request.metadata

    def role(self, index: int) -> str:
        """Return the role of a message."""
        return self._request.messages[index].role

    def message(self, index: int, mark: bytes) -> Content:  # noqa: ARG002 - there are no bytes any more
        """Return the content of a message."""
        return self._request.messages[index].content

    def answers_a_tool(self, index: int) -> bool:
        """Tell whether a message has the result of a tool."""
        return _answers_a_tool(self._request.messages[index].content)

    def system(self, mark: bytes) -> Content:  # noqa: ARG002 - there are no bytes any more
        """Return the system prompt."""
        return self._request.system

    def tool_types(self) -> Collection[str]:
        """Return the types of all tools."""
        return [tool.type or "" for tool in self._request.tools or ()]

    def effort(self) -> str | None:
        """Return the effort asked for."""
        return _effort(self._request)

    def budget_tokens(self) -> int:
        """Return the tokens of thinking asked for."""
        return _budget_tokens(self._request)

    def tokens(self) -> int:
        """Return an estimate of the input tokens."""
        return count_request_tokens(self._request)


class NativeView:
    """A Messages request of which only the outermost level is parsed."""

    always_effort = None

    def __init__(self, request: NativeRequest) -> None:
        self._body: NativeBody = request.body
        self._options = request.options
        self.model = request.model
        self.count = len(request.body.messages)

    def metadata(self) -> Raw:
        """Return what the client says about itself."""
        return self._body.metadata

    def role(self, index: int) -> str:
        """Return the role of a message."""
        return bytes(self._body.messages[index].get("role", _NO_BYTES)).decode().strip('"')

    def message(self, index: int, mark: bytes) -> Content:
        """Return the content of a message, None where ``mark`` is not in it.

        Raises RequestError where it is no content.
        """
        content = self._body.messages[index].get("content", _NO_BYTES)
        if mark not in bytes(content):
            return None
        return decoded(_CONTENT, content, "messages", index, "content")

    def answers_a_tool(self, index: int) -> bool:
        """Tell whether a message has the result of a tool. Raises RequestError as `message`."""
        return _answers_a_tool(self.message(index, _TOOL_RESULT))

    def system(self, mark: bytes) -> Content:
        """Return those blocks of the system prompt that have ``mark`` in their text."""
        system = self._body.system
        if not isinstance(system, list):
            return system
        found = [block for block in system if mark in bytes(block.get("text", _NO_BYTES))]
        return decoded(_BLOCKS, encode(found), "system") if found else None

    def tool_types(self) -> Collection[str]:
        """Return the types of all tools."""
        return [bytes(tool.get("type", _NO_BYTES)).decode().strip('"') for tool in self._body.tools or ()]

    def effort(self) -> str | None:
        """Return the effort asked for."""
        return _effort(self._options)

    def budget_tokens(self) -> int:
        """Return the tokens of thinking asked for."""
        return _budget_tokens(self._options)

    def tokens(self) -> int:
        """Return an estimate of the input tokens."""
        contents = (message.get("content", _NO_BYTES) for message in self._body.messages)
        total = sum(map(_raw_tokens, contents))
        system = self._body.system
        if isinstance(system, str):
            total += len(system.encode()) / BYTES_PER_TEXT_TOKEN
        for block in system or ():
            total += _raw_tokens(block["text"]) if isinstance(block, dict) and "text" in block else 0
        tools = self._body.tools or []
        size = sum(memoryview(value).nbytes for tool in tools for value in tool.values())
        return round(total + size / BYTES_PER_JSON_TOKEN + (TOOL_PROMPT_TOKENS if tools else 0))


class ChatView:
    """A decoded chat request."""

    always_effort = _CHAT_ALWAYS_EFFORT

    def __init__(self, chat: ChatRequest, body: bytes) -> None:
        self._chat = chat
        self._bytes = body
        self.model = chat["model"]
        self.count = len(chat["messages"])

    def metadata(self) -> Raw:
        """Return what the client says about itself."""
        return cast("dict[str, Raw]", self._chat).get("metadata", ABSENT)

    def role(self, index: int) -> str:
        """Return the role of a message."""
        return self._chat["messages"][index]["role"]

    def message(self, index: int, mark: bytes) -> Content:  # noqa: ARG002 - there are no bytes any more
        """Return the content of a message."""
        return _blocks_from_parts(self._chat["messages"][index].get("content"))

    def answers_a_tool(self, index: int) -> bool:
        """Tell whether a message has the result of a tool."""
        return self._chat["messages"][index]["role"] == "tool"

    def system(self, mark: bytes) -> Content:
        """Return the texts of all system messages."""
        blocks: list[Block] = []
        for index in range(self.count):
            if self.role(index) in ("system", "developer"):
                content = self.message(index, mark)
                blocks += [Block("text", text=content)] if isinstance(content, str) else content or []
        return blocks

    def tool_types(self) -> Collection[str]:
        """Return the types of all tools, and that of web search where it is asked for by an option."""
        tools = cast("list[JsonObject]", self._chat.get("tools", []))
        types = [bytes(tool.get("type", _NO_BYTES)).decode().strip('"') for tool in tools]
        return [*types, "web_search"] if "web_search_options" in self._chat else types

    def effort(self) -> str | None:
        """Return the effort asked for."""
        effort = cast("dict[str, Any]", self._chat).get("reasoning_effort", _NO_BYTES)
        return decoded(_EFFORT, effort, "reasoning_effort")

    def budget_tokens(self) -> int:
        """Return 0: the chat API knows no budget."""
        return 0

    def tokens(self) -> int:
        """Return an estimate of the input tokens."""
        return round(_raw_tokens(self._bytes))


def _answers_a_tool(content: Content) -> bool:
    return isinstance(content, list) and any(block.type == "tool_result" for block in content)


def _effort(request: MessagesRequest) -> str | None:
    return request.output_config.effort if request.output_config is not None else None


def _budget_tokens(request: MessagesRequest) -> int:
    return (request.thinking.budget_tokens or 0) if request.thinking is not None else 0


def _raw_tokens(value: Raw | bytes) -> float:
    """Return the tokens of JSON that is mostly text; images and documents in it count for themselves."""
    data = bytes(value)
    size, inlined = len(data), 0
    if b"base64" in data:
        for match in _INLINE.finditer(data):
            size -= len(match[0])
            inlined += inline_tokens((match[1] or match[2] or b"").replace(b"\\", b"").decode())
    return size / BYTES_PER_TEXT_TOKEN + inlined


def _blocks_from_parts(content: object) -> Content:
    """Return the parts of a chat message as blocks, as far as rules look at them: texts and images."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    blocks = []
    for part in content:
        if isinstance(part.get("text"), str):
            blocks.append(Block("text", text=part["text"]))
        elif part.get("type") in _CHAT_IMAGES:
            blocks.append(Block("image"))
    return blocks
