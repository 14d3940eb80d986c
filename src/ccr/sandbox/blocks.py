"""Content blocks of the Anthropic dialect: fields, texts, media, thinking, and results that answer calls.

Used for both the native route (strict) and the stand-in for the Anthropic API (which takes more kinds of
blocks).
"""

from __future__ import annotations

from typing import Any

from ccr.sandbox.check_messages import TOOL_ID, TOOL_NAME
from ccr.sandbox.check_parts import IMAGE_TYPES, base64_bytes, check_cache_control, check_text
from ccr.sandbox.refusals import (
    refuse,
    refuse_extra,
    refuse_orphan,
    refuse_tag,
    refuse_unanswered,
    require_list,
    require_object,
    require_string,
)
from ccr.sandbox.signatures import is_redacted_data, is_signature

BLOCKS_OF_ROLE = {
    "user": frozenset({"text", "image", "document", "tool_result"}),
    "assistant": frozenset({"text", "tool_use", "thinking", "redacted_thinking"}),
    "result": frozenset({"text", "image", "document"}),
}
FIELDS_OF_BLOCK = {
    "text": frozenset({"type", "text", "cache_control"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "title", "context", "citations", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}


def check_blocks(where: str, role: str, content: object, model: str | None) -> None:
    """Refuse content that is neither a text nor a list of blocks the role may have.

    model: the model whose thinking may be replayed; None for any.
    """
    if isinstance(content, str):
        check_text(content)
        return
    blocks = require_list(where, content)
    if not blocks and role != "result":
        refuse("messages: text content blocks must be non-empty")
    for index, item in enumerate(blocks):
        block = require_object(f"{where}.{index}", item)
        kind = block.get("type")
        if not isinstance(kind, str) or kind not in BLOCKS_OF_ROLE[role]:
            refuse_tag(f"{where}.{index}", kind, BLOCKS_OF_ROLE[role])
        check_block(f"{where}.{index}.{kind}", kind, block, model)


def check_block(where: str, kind: str, block: dict[str, Any], model: str | None) -> None:
    """Refuse a block with unknown fields, or with values its kind does not have."""
    refuse_extra(where, block, FIELDS_OF_BLOCK[kind])
    check_cache_control(where, block, frozenset({"ttl"}))
    if kind == "text":
        check_text(require_string(f"{where}.text", block.get("text")))
    elif kind in {"image", "document"}:
        _check_source(f"{where}.source", kind, require_object(f"{where}.source", block.get("source")))
    elif kind == "tool_use":
        _check_tool_use(where, block)
    elif kind == "tool_result":
        _check_tool_result(where, block)
    elif kind == "thinking":
        check_thinking_block(where, block, model)
    elif not is_redacted_data(require_string(f"{where}.data", block.get("data")), model):
        refuse(f"{where}: Invalid `data` in `redacted_thinking` block")


def check_thinking_block(where: str, block: dict[str, Any], model: str | None) -> None:
    """Refuse a thinking block that was not issued by a sandbox, word for word."""
    text = require_string(f"{where}.thinking", block.get("thinking"))
    if not is_signature(require_string(f"{where}.signature", block.get("signature")), text, model):
        refuse(f"{where.removesuffix('.thinking')}: Invalid `signature` in `thinking` block")


def check_pairs(messages: list[dict[str, Any]]) -> None:
    """Refuse calls without exactly one result in the next message, results without a call, ids used twice."""
    seen: set[str] = set()
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        for result in results:
            if result not in waiting or results.count(result) > 1:
                refuse_orphan(index, result)
        missing = waiting - set(results)
        if missing:
            refuse_unanswered(index - 1, sorted(missing))
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if seen.intersection(calls) or len(set(calls)) < len(calls):
            refuse("messages: `tool_use` ids must be unique")
        waiting = set(calls)
        seen |= waiting
    if waiting:
        refuse_unanswered(len(messages) - 1, sorted(waiting))


def _check_source(where: str, kind: str, source: dict[str, Any]) -> None:
    refuse_extra(where, source, frozenset({"type", "media_type", "data"}))
    allowed = IMAGE_TYPES if kind == "image" else frozenset({"application/pdf"})
    if source.get("type") != "base64" or source.get("media_type") not in allowed:
        refuse(f"{where}: Input should be base64 data of {', '.join(sorted(allowed))}")
    data = base64_bytes(where, require_string(f"{where}.base64.data", source.get("data")))
    if kind == "document" and not data.startswith(b"%PDF-"):
        refuse(f"{where}.base64.data: The PDF specified was not valid.")


def _check_tool_use(where: str, block: dict[str, Any]) -> None:
    if not TOOL_ID.fullmatch(require_string(f"{where}.id", block.get("id"))):
        refuse(f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not TOOL_NAME.fullmatch(require_string(f"{where}.name", block.get("name"))):
        refuse(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    require_object(f"{where}.input", block.get("input"))


def _check_tool_result(where: str, block: dict[str, Any]) -> None:
    require_string(f"{where}.tool_use_id", block.get("tool_use_id"))
    if not isinstance(block.get("is_error", False), bool):
        refuse(f"{where}.is_error: Input should be a valid boolean")
    if block.get("content", "") != "":
        check_blocks(f"{where}.content", "result", block["content"], None)
