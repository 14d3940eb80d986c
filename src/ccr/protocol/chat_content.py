"""Content parts of a chat message from Anthropic content blocks, one block at a time.

Texts stay what they are; images and documents become data URLs; whatever a chat endpoint has no part for
becomes a text that says so, by a named rule. Nothing here knows about turns or tool calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.protocol.anthropic import Block, Source, checked_text
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from msgspec import Raw

    from ccr.protocol.openai import CacheControl, ContentPart
    from ccr.protocol.traits import ModelTraits

_WITHOUT_VALUE = (b"null", b"[]", b"{}", b'{"enabled":false}')
_SERVER_TOOL_BLOCKS = ("server_tool_use", "mcp_tool_use")


def has_value(raw: Raw) -> bool:
    """Whether an opaque field says anything: it is there, and neither null nor empty."""
    return bool(raw) and bytes(raw).translate(None, b" \t\r\n") not in _WITHOUT_VALUE


def is_blank(text: str | None) -> bool:
    """Whether a text is one that endpoints refuse: empty, or nothing but whitespace."""
    return not text or text.isspace()


def text_part(text: str) -> ContentPart:
    """Return a text part."""
    return {"type": "text", "text": text}


def content_from_parts(parts: list[ContentPart], traits: ModelTraits) -> str | list[ContentPart]:
    """Return ``content`` for parts: a string where nothing is lost by it, else the array.

    Databricks-hosted Claude takes arrays everywhere; other models are given one string when all parts are
    texts.
    """
    if len(parts) == 1 and len(parts[0]) == 2 and parts[0]["type"] == "text":
        return parts[0]["text"]
    if traits.family != "claude" and all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def cache_mark(
    cache_control: dict[str, Raw] | None, traits: ModelTraits, rules: Rules
) -> CacheControl | None:
    """Return the cache breakpoint in the one form Databricks takes, None where there is none.

    ``ttl`` and ``scope`` are refused there (databricks.md §2), so that they are dropped by rule.
    """
    if cache_control is None:
        return None
    if not traits.takes_cache_control:
        rules.add(RequestRule.CACHE_CONTROL_DROPPED)
        return None
    if len(cache_control) > 1:
        rules.add(RequestRule.CACHE_CONTROL_REDUCED)
    return {"type": "ephemeral"}


def parts_from_block(block: Block, traits: ModelTraits, rules: Rules) -> list[ContentPart]:
    """Return the parts of one block (at least one; blank texts are left to the caller to drop beforehand).

    The block's cache breakpoint is set on the last part.
    """
    match block.type:
        case "text":
            if has_value(block.citations):
                rules.add(RequestRule.CITATIONS_DROPPED)
            parts = [text_part(block.text or "")]
        case "image":
            parts = [_part_from_image(block.source, traits, rules)]
        case "document":
            parts = _parts_from_document(block, traits, rules)
        case "tool_reference":
            rules.add(RequestRule.TOOL_REFERENCE_AS_TEXT)
            parts = [text_part(f"[tool loaded: {block.tool_name}]")]
        case "search_result":
            rules.add(RequestRule.SEARCH_RESULT_AS_TEXT)
            parts = [text_part(_text_from_search_result(block))]
        case _:
            parts = [_part_from_foreign_block(block, rules)]
    mark = cache_mark(block.cache_control, traits, rules)
    if mark is not None:
        parts[-1]["cache_control"] = mark
    return parts


def _part_from_image(source: Source | str | None, traits: ModelTraits, rules: Rules) -> ContentPart:
    if isinstance(source, Source) and traits.takes_images:
        if source.type == "base64" and source.data:
            media_type = source.media_type or "image/png"
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{source.data}"}}
        if source.type == "url" and source.url:
            return {"type": "image_url", "image_url": {"url": source.url}}
    rules.add(RequestRule.IMAGE_AS_NOTE)
    where = f": {source.url or source.file_id}" if isinstance(source, Source) and not source.data else ""
    reason = "its source cannot be sent on" if traits.takes_images else "the model takes no images"
    return text_part(f"[image left out, {reason}{where}]")


def _parts_from_document(block: Block, traits: ModelTraits, rules: Rules) -> list[ContentPart]:
    """Return a file part for bytes, texts for text; title and context are kept as text."""
    source = block.source
    if has_value(block.citations):
        rules.add(RequestRule.CITATIONS_DROPPED)
    heading = f"[document: {block.title or 'untitled'}]" + (f"\n{block.context}" if block.context else "")
    if isinstance(source, Source):
        if source.type == "base64" and source.data and traits.takes_documents:
            return _parts_from_file(block, source, source.data, heading)
        if source.type == "text":
            rules.add(RequestRule.DOCUMENT_AS_TEXT)
            return [text_part(f"{heading}\n{source.data or ''}")]
        if source.type == "content" and source.content is not None:
            rules.add(RequestRule.DOCUMENT_AS_TEXT)
            if isinstance(source.content, str):
                return [text_part(f"{heading}\n{source.content}")]
            inner = [part for each in source.content for part in parts_unless_blank(each, traits, rules)]
            return [text_part(heading), *inner]
    rules.add(RequestRule.DOCUMENT_AS_NOTE)
    where = f": {source.url or source.file_id}" if isinstance(source, Source) and not source.data else ""
    reason = "its source cannot be sent on" if traits.takes_documents else "the model takes no documents"
    return [text_part(f"{heading}\n[left out, {reason}{where}]")]


def _parts_from_file(block: Block, source: Source, data: str, heading: str) -> list[ContentPart]:
    media_type = source.media_type or "application/pdf"
    file_data = f"data:{media_type};base64,{data}"
    part: ContentPart = {
        "type": "file",
        "file": {"filename": block.title or "document.pdf", "file_data": file_data},
    }
    return [text_part(heading), part] if block.context else [part]


def parts_unless_blank(block: Block, traits: ModelTraits, rules: Rules) -> list[ContentPart]:
    """Return the parts of a block, none for a text without characters."""
    if block.type == "text" and is_blank(block.text):
        rules.add(RequestRule.EMPTY_TEXT_DROPPED)
        return []
    return parts_from_block(block, traits, rules)


def _text_from_search_result(block: Block) -> str:
    source = block.source if isinstance(block.source, str) else ""
    return f"[search result: {block.title or ''} {source}]\n{_inner_text(block.content)}"


def _part_from_foreign_block(block: Block, rules: Rules) -> ContentPart:
    """Return a text for what only Anthropic's own service makes (server tools), a note for any other type."""
    if block.type in _SERVER_TOOL_BLOCKS:
        rules.add(RequestRule.SERVER_TOOL_BLOCK_AS_TEXT)
        return text_part(f"[{block.name} was called with {checked_text(block.input) or '{}'}]")
    if block.type.endswith("_tool_result"):
        rules.add(RequestRule.SERVER_TOOL_BLOCK_AS_TEXT)
        return text_part(f"[{block.type}]\n{_inner_text(block.content)}")
    rules.add(RequestRule.UNKNOWN_BLOCK_AS_NOTE)
    details = (block.text, block.thinking, _inner_text(block.content), checked_text(block.input))
    return text_part("\n".join([f"[content of type {block.type!r}]", *filter(None, details)]))


def _inner_text(content: str | list[Block] | Block | None) -> str:
    """Return what can be read in nested content: texts, titles and addresses, one line each."""
    if content is None or isinstance(content, str):
        return content or ""
    blocks = content if isinstance(content, list) else [content]
    lines = []
    for block in blocks:
        words = [block.title, block.url, block.text, _inner_text(block.content)]
        lines.append(" ".join(word for word in words if word) or f"[{block.type}]")
    return "\n".join(lines)
