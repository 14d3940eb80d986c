"""What a tokenizer is given of a request: its texts, in either dialect, and what else there is to count.

Source of what counts: the npm router's tokenizers (messages, tool calls and results, system prompt, tools).
Thinking does not: most providers are not sent it. Images and documents are no text and count by what they
measure (media_tokens.py). Pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ccr.errors import RequestError
from ccr.protocol.anthropic import refusal_of_body
from ccr.protocol.media_tokens import IMAGE_TOKENS, document_tokens, image_tokens, inline_tokens

_TEXTS = frozenset({"text", "input_text", "output_text"})
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_UNCOUNTED = frozenset({"thinking", "redacted_thinking"})


class TokenTexts(NamedTuple):
    """The texts of a request, in their order, and the tokens of its images and documents."""

    texts: tuple[str, ...]
    media_tokens: int = 0


def texts_from_body(body: bytes) -> TokenTexts:
    """Return what is to be counted of a Messages or chat request. Raises RequestError for any other body."""
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error) from None
    messages = values.get("messages") if isinstance(values, dict) else None
    if not isinstance(messages, list):
        raise RequestError("messages: a list is required")
    found = _Found()
    for message in messages:
        if isinstance(message, dict):
            found.add(message.get("content"))
            for call in _list(message.get("tool_calls")):
                found.add_function(call)
    found.add(values.get("system"))
    for tool in _list(values.get("tools")):
        found.add_tool(tool)
    return TokenTexts(tuple(found.texts), found.media_tokens)


class _Found:
    """What was found so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media_tokens = 0

    def add(self, content: Any) -> None:
        """Add a content and all that is in it; not by recursion, for it may be deep."""
        waiting = [content]
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                self._add_text(part)
            elif isinstance(part, list):
                waiting += reversed(part)
            elif isinstance(part, dict):
                waiting += reversed(self._parts_of(part))

    def add_tool(self, tool: Any) -> None:
        """Add the definition of a tool, in either dialect."""
        if not isinstance(tool, dict):
            return
        if isinstance(tool.get("function"), dict):
            tool = tool["function"]
        name, description = tool.get("name"), tool.get("description")
        self._add_text("".join(each for each in (name, description) if isinstance(each, str)))
        schema = tool.get("input_schema", tool.get("parameters"))
        if schema:
            self._add_text(_json(schema))

    def add_function(self, call: Any) -> None:
        """Add the call of a function in a chat request."""
        function = call.get("function") if isinstance(call, dict) else None
        for key in ("name", "arguments"):
            text = function.get(key) if isinstance(function, dict) else None
            self.add(text if isinstance(text, str) else None)

    def _add_text(self, text: str) -> None:
        if text:
            self.texts.append(text)

    def _parts_of(self, block: dict[str, Any]) -> list[Any]:
        """Return what in a block is looked at further; what is counted at once is added."""
        kind = block.get("type")
        if kind in _UNCOUNTED:
            return []
        if kind in _TEXTS:
            return [block.get("text")]
        if kind in _CALLS:
            return [block.get("name"), _json(block["input"]) if "input" in block else None]
        if kind in ("image", "document"):
            return self._media(kind, block.get("source"))
        if kind == "image_url":
            image = block.get("image_url")
            url = image.get("url") if isinstance(image, dict) else image
            self.media_tokens += _tokens_of_url(url)
            return []
        return [block.get(key) for key in ("title", "text", "content")]

    def _media(self, kind: str, source: Any) -> list[Any]:
        """Count an image or a document; return the texts of one that is text."""
        if not isinstance(source, dict):
            return []
        data = source.get("data")
        if kind == "document" and source.get("type") == "text":
            return [data]
        if isinstance(data, str):
            self.media_tokens += image_tokens(data) if kind == "image" else document_tokens(data)
        elif kind == "image":
            self.media_tokens += IMAGE_TOKENS
        return [source.get("content")]


def _tokens_of_url(url: Any) -> int:
    if isinstance(url, str) and url.startswith("data:"):
        return inline_tokens(url.partition(",")[2])
    return IMAGE_TOKENS


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
