"""Content blocks as the native endpoint takes them: known types and keys, plain cache breakpoints, no blanks.

The endpoint answers 400 to every block type and key it does not know (databricks.md §1, §7), hence an
allow-list. A block that is fine is returned as the same object; nobody copies or re-encodes it.
What becomes of blocks that only Anthropic's own service knows is decided by chat_content.py, for both routes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from ccr.protocol.anthropic import Block
from ccr.protocol.chat_content import is_blank, parts_from_block
from ccr.protocol.native_json import (
    OBJECT,
    OBJECTS,
    OPTIONAL_STRING,
    JsonObject,
    decoded,
    encode,
    first_byte,
    raw,
)
from ccr.protocol.native_rules import NativeRule, NativeRules
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

TEXT: Final = b'"text"'
TOOL_RESULT: Final = b'"tool_result"'
THINKING_TYPES: Final = frozenset({b'"thinking"', b'"redacted_thinking"'})
_IMAGE: Final = b'"image"'
_DOCUMENT: Final = b'"document"'
_NOTED: Final = frozenset({_IMAGE, _DOCUMENT, *THINKING_TYPES})

_KEYS: Final[dict[bytes, frozenset[str]]] = {
    TEXT: frozenset({"type", "text", "citations", "cache_control"}),
    _IMAGE: frozenset({"type", "source", "cache_control"}),
    _DOCUMENT: frozenset({"type", "source", "title", "context", "citations", "cache_control"}),
    b'"search_result"': frozenset({"type", "source", "title", "content", "citations", "cache_control"}),
    b'"tool_use"': frozenset({"type", "id", "name", "input", "cache_control"}),
    TOOL_RESULT: frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    b'"thinking"': frozenset({"type", "thinking", "signature"}),
    b'"redacted_thinking"': frozenset({"type", "data"}),
}
"""Block types of the Messages API without betas, as JSON, and their keys."""

_LIST: Final = ord("[")
_DECISIVE: Final = {
    TEXT: "text",
    b'"thinking"': "signature",
    b'"redacted_thinking"': "data",
    TOOL_RESULT: "content",
}
"""The field that decides whether a block can be sent as it is."""
_VISIBLE_START: Final = re.compile(rb'"[!#-\[\]-~]')
"""A JSON string whose first character is a visible ASCII one: by far the most texts, told at once."""
_PLAIN_CACHE_CONTROLS: Final = frozenset(
    {b'{"type":"ephemeral"}', b'{"type": "ephemeral"}', b'{"type":"ephemeral","ttl":"1h"}'}
)
_CACHE_CONTROL_KEYS: Final = frozenset({"type", "ttl"})
_BLOCK: Final = msgspec.json.Decoder(Block)


def block_type(block: JsonObject) -> bytes:
    """Return a block's type as JSON; empty when it has none."""
    kind = block.get("type")
    return b"" if kind is None else bytes(kind)


def text_block(text: str) -> JsonObject:
    """Return a text block."""
    return {"type": Raw(TEXT), "text": raw(text)}


def is_blank_json(value: Raw | None, *path: object) -> bool:
    """Tell whether a JSON value is no text, or one that endpoints refuse: empty or whitespace only.

    Raises RequestError on a value that is neither a string nor null; ``path`` is its key path.
    """
    if value is None:
        return True
    if _VISIBLE_START.match(value):
        return False
    return is_blank(decoded(OPTIONAL_STRING, value, *path))


class BlockSanitizer:
    """Sanitises content blocks for one model, and notes the rules it applied.

    has_attachments: there was an image or a document among them. has_thinking: there was thinking.
    """

    def __init__(self, traits: ModelTraits, rules: NativeRules) -> None:
        self.has_attachments = False
        self.has_thinking = False
        self._rules = rules
        self._takes_cache_control = traits.takes_cache_control
        self.traits = traits
        self._decisive = _DECISIVE if traits.thinking else _DECISIVE | dict.fromkeys(THINKING_TYPES, "")
        self._keys = dict(_KEYS)
        if not traits.takes_images:
            del self._keys[_IMAGE]
            if not traits.takes_documents:
                del self._keys[_DOCUMENT]

    def blocks(self, given: list[JsonObject], *path: object) -> tuple[list[JsonObject], bool]:
        """Return the blocks that may be sent, and whether they are not just the given ones.

        Raises RequestError on a block that is none; ``path`` is the list's key path.
        """
        kept: list[JsonObject] = []
        is_changed = False
        for index, block in enumerate(given):
            if self._is_plain(block):
                kept.append(block)
                continue
            new = self._block(block, *path, index)
            if new is not block:
                is_changed = True
            if new is not None:
                kept.append(new)
        return kept, is_changed

    def _is_plain(self, block: JsonObject) -> bool:
        """Tell at a glance that nothing has to be done: known keys, no breakpoint, a visible text."""
        kind = block_type(block)
        if kind in _NOTED:
            if kind in THINKING_TYPES:
                self.has_thinking = True
            else:
                self.has_attachments = True
        keys = self._keys.get(kind)
        if keys is None or not keys.issuperset(block) or "cache_control" in block:
            return False
        field = self._decisive.get(kind)
        if field is None:
            return True
        value = block.get(field)
        return value is not None and _VISIBLE_START.match(value) is not None

    def with_plain_cache_control(self, holder: JsonObject) -> JsonObject:
        """Return a block or tool whose cache breakpoint holds ``type`` and ``ttl`` only."""
        given = bytes(holder["cache_control"])
        if given == b"null":
            return _without(holder, "cache_control")
        if not self._takes_cache_control:
            self._rules.add(RequestRule.CACHE_CONTROL_DROPPED)
            return _without(holder, "cache_control")
        if given in _PLAIN_CACHE_CONTROLS:
            return holder
        keys = decoded(OBJECT, given, "cache_control")
        if _CACHE_CONTROL_KEYS.issuperset(keys):
            return holder
        self._rules.add(RequestRule.CACHE_CONTROL_REDUCED)
        plain = {key: value for key, value in keys.items() if key in _CACHE_CONTROL_KEYS}
        return {**holder, "cache_control": raw(plain)}

    def _block(self, block: JsonObject, *path: object) -> JsonObject | None:
        kind = block_type(block)
        keys = self._keys.get(kind)
        if keys is None:
            return self._foreign_block(block, *path)
        if not keys.issuperset(block):
            self._rules.add(NativeRule.BLOCK_FIELDS_DROPPED)
            block = {key: value for key, value in block.items() if key in keys}
        if "cache_control" in block:
            block = self.with_plain_cache_control(block)
        if kind == TEXT:
            if is_blank_json(block.get("text"), *path, "text"):
                self._rules.add(RequestRule.EMPTY_TEXT_DROPPED)
                return None
        elif kind == TOOL_RESULT:
            return self._tool_result(block, *path)
        elif kind in THINKING_TYPES:
            return self._thinking(block, _DECISIVE[kind], *path)
        return block

    def _thinking(self, block: JsonObject, proof: str, *path: object) -> JsonObject | None:
        """Return a thinking block that the endpoint can verify: the text may be missing, the proof not."""
        if not self.traits.thinking:
            self._rules.add(RequestRule.THINKING_HISTORY_DROPPED)
            return None
        if is_blank_json(block.get(proof), *path, proof):
            self._rules.add(RequestRule.UNSIGNED_THINKING_DROPPED)
            return None
        return block

    def _tool_result(self, block: JsonObject, *path: object) -> JsonObject:
        content = block.get("content")
        if content is None or first_byte(content) != _LIST:
            return block
        kept, is_changed = self.blocks(decoded(OBJECTS, content, *path, "content"), *path, "content")
        if not is_changed:
            return block
        if kept:
            return {**block, "content": raw(kept)}
        return _without(block, "content")

    def _foreign_block(self, block: JsonObject, *path: object) -> JsonObject | None:
        """Return a text that stands for a block of a type the endpoint does not know."""
        known = decoded(_BLOCK, encode(_without(block, "cache_control")), *path)
        kind = encode(known.type)
        if kind in self._keys and kind != block_type(block):  # the same word, written with escapes
            return self._block({**block, "type": Raw(kind)}, *path)
        texts = [part["text"] for part in parts_from_block(known, self.traits, self._rules)]
        replacement = text_block("\n".join(texts))
        if "cache_control" in block:
            replacement["cache_control"] = block["cache_control"]
            return self.with_plain_cache_control(replacement)
        return replacement


def _without(value: JsonObject, unwanted: str) -> JsonObject:
    return {key: item for key, item in value.items() if key != unwanted}
