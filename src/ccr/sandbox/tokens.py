"""Honest token figures: an estimate of the prompt's size, and a prompt cache that remembers prefixes.

The prompt is a list of pieces in the order the model reads them: tools, system, messages. A ``cache_control``
on a piece makes everything up to it a prefix that is remembered; the next request reads the longest
remembered one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ccr.sandbox.script import Usage

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 1_600
MEDIA = frozenset({"image", "image_url", "file", "document"})


@dataclass(frozen=True)
class Piece:
    """One part of the prompt: size, words (``cache_control`` aside), whether it ends a cached prefix."""

    tokens: int
    text: str
    is_breakpoint: bool


def pieces_of(body: dict[str, Any]) -> list[Piece]:
    """Return the pieces of a request's prompt, in either dialect."""
    found = [_piece(tool) for tool in body.get("tools") or ()]
    for content in (body.get("system"), *(_content_of(message) for message in body.get("messages") or ())):
        if isinstance(content, list):
            found.extend(_piece(part) for part in content)
        elif content is not None:
            found.append(_piece(content))
    return found


def prompt_tokens(body: dict[str, Any]) -> int:
    """Return the estimated number of tokens in the prompt."""
    return sum(piece.tokens for piece in pieces_of(body))


@dataclass
class PromptCache:
    """The prefixes remembered per model."""

    prefixes: set[tuple[str, bytes]] = field(default_factory=set)

    def usage_of(self, body: dict[str, Any], model: str, min_tokens: int, output_tokens: int) -> Usage:
        """Return the usage of a request, and remember its prefixes of at least ``min_tokens``."""
        read = end_of_cached = total = 0
        digest = hashlib.sha256(model.encode())
        fresh: set[tuple[str, bytes]] = set()
        read_here = 0
        for piece in pieces_of(body):
            digest.update(piece.text.encode("utf-8", "surrogatepass") + b"\0")
            total += piece.tokens
            key = (model, digest.digest())
            if key in self.prefixes:
                read_here = total
            if piece.is_breakpoint and total >= min_tokens:
                end_of_cached, read = total, read_here
                fresh.add(key)
        self.prefixes |= fresh
        return Usage(total - end_of_cached, output_tokens, read, end_of_cached - read)


def output_tokens_of(*texts: str | None) -> int:
    """Return the estimated number of tokens in an answer."""
    return sum(len(text) // CHARS_PER_TOKEN + 1 for text in texts if text)


def _content_of(message: dict[str, Any]) -> object:
    """Return a message's content with its role and tool calls, as a list of what the model reads."""
    content = message.get("content")
    parts = list(content) if isinstance(content, list) else [content] if content else []
    return [{"role": message.get("role")}, *parts, *(message.get("tool_calls") or ())]


def _piece(value: Any) -> Piece:
    bare = {k: v for k, v in value.items() if k != "cache_control"} if isinstance(value, dict) else value
    is_breakpoint = isinstance(value, dict) and "cache_control" in value
    return Piece(_tokens_of(bare), json.dumps(bare, sort_keys=True), is_breakpoint)


def _tokens_of(value: Any) -> int:
    """Return the estimated tokens of a part; media have one price, also inside tool results."""
    if isinstance(value, dict):
        if value.get("type") in MEDIA:
            return IMAGE_TOKENS
        if value.get("type") == "tool_result" and isinstance(value.get("content"), list):
            return sum(map(_tokens_of, value["content"]))
    return len(json.dumps(value)) // CHARS_PER_TOKEN + 1
