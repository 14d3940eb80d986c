"""Content parts of the chat dialect: which fields each kind has, what a text, an image and a file must be."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ccr.sandbox.refusals import (
    Refused,
    coded,
    refuse,
    refuse_extra,
    refuse_tag,
    require_list,
    require_object,
    require_string,
)
from ccr.sandbox.signatures import is_redacted_data, is_signature

PARTS_OF_ROLE = {
    "system": frozenset({"text"}),
    "user": frozenset({"text", "image_url", "file"}),
    "assistant": frozenset({"text", "reasoning"}),
    "tool": frozenset({"text"}),
}
FIELDS_OF_PART = {
    "text": frozenset({"type", "text", "cache_control"}),
    "image_url": frozenset({"type", "image_url", "cache_control"}),
    "file": frozenset({"type", "file", "cache_control"}),
    "reasoning": frozenset({"type", "summary"}),
}
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
DATA_URL = re.compile(r"data:(?P<type>[a-z]+/[a-z0-9.+-]+);base64,(?P<data>.*)", re.DOTALL)


def check_content(where: str, role: str, content: object, model: str) -> None:
    """Refuse a message's content that is neither a text nor a list of parts its role may have."""
    if isinstance(content, str):
        check_text(content)
        return
    parts = require_list(f"{where}.content", content)
    if not parts:
        refuse("messages: text content blocks must be non-empty")
    for index, part in enumerate(parts):
        _check_part(f"{where}.content.{index}", role, require_object(f"{where}.content.{index}", part), model)


def check_text(text: str) -> None:
    """Refuse a text with nothing in it."""
    if not text:
        refuse("messages: text content blocks must be non-empty")
    if not text.strip():
        refuse("messages: text content blocks must contain non-whitespace text")


def check_cache_control(where: str, holder: dict[str, Any], extra: frozenset[str] = frozenset()) -> None:
    """Refuse any ``cache_control`` but ``{"type": "ephemeral"}``; ``extra``: further fields a route takes."""
    if "cache_control" not in holder:
        return
    control = require_object(f"{where}.cache_control", holder["cache_control"])
    if control.get("type") != "ephemeral":
        refuse(f"{where}.cache_control.type: Input should be 'ephemeral'")
    refuse_extra(f"{where}.cache_control.ephemeral", control, frozenset({"type"}) | extra)


def check_breakpoints(body: dict[str, Any]) -> None:
    """Refuse more than four prefixes to be cached."""
    found = count_breakpoints(body)
    if found > 4:
        refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {found}.")


def count_breakpoints(value: object) -> int:
    """Return how many ``cache_control`` marks a request's prompt holds (tool schemas and inputs aside)."""
    if isinstance(value, list):
        return sum(count_breakpoints(item) for item in value)
    if not isinstance(value, dict):
        return 0
    inner = (item for key, item in value.items() if key in {"tools", "system", "messages", "content"})
    return ("cache_control" in value) + sum(count_breakpoints(item) for item in inner)


def base64_bytes(where: str, data: str) -> bytes:
    """Return the decoded bytes; refuse what is empty or no base64."""
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        refuse(f"{where}: invalid base64 data")
    return decoded


def _check_part(where: str, role: str, part: dict[str, Any], model: str) -> None:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in PARTS_OF_ROLE[role]:
        refuse_tag(where, kind, PARTS_OF_ROLE[role])
    refuse_extra(f"{where}.{kind}", part, FIELDS_OF_PART[kind])
    check_cache_control(where, part)
    if kind == "text":
        check_text(require_string(f"{where}.text", part.get("text")))
    elif kind == "image_url":
        _check_image(where, require_object(f"{where}.image_url", part.get("image_url")))
    elif kind == "file":
        _check_file(where, require_object(f"{where}.file", part.get("file")))
    else:
        _check_reasoning(where, part.get("summary"), model)


def _check_image(where: str, image: dict[str, Any]) -> None:
    refuse_extra(f"{where}.image_url", image, frozenset({"url"}))
    url = require_string(f"{where}.image_url.url", image.get("url"))
    if url.startswith(("http://", "https://")):
        raise Refused(coded(400, "INVALID_PARAMETER_VALUE", "Http data URLs are not supported by Claude"))
    found = DATA_URL.fullmatch(url)
    if found is None or found["type"] not in IMAGE_TYPES:
        refuse(
            f"{where}.image_url.url: Input should be a base64 data URL of {', '.join(sorted(IMAGE_TYPES))}"
        )
    base64_bytes(f"{where}.image.source.base64", found["data"])


def _check_file(where: str, file: dict[str, Any]) -> None:
    refuse_extra(f"{where}.file", file, frozenset({"filename", "file_data"}))
    require_string(f"{where}.file.filename", file.get("filename"))
    found = DATA_URL.fullmatch(require_string(f"{where}.file.file_data", file.get("file_data")))
    if found is None or found["type"] != "application/pdf":
        refuse(f"{where}.file.file_data: Input should be a base64 data URL of application/pdf")
    if not base64_bytes(f"{where}.file.file_data", found["data"]).startswith(b"%PDF-"):
        refuse(f"{where}.document.source.base64.data: The PDF specified was not valid.")


def _check_reasoning(where: str, summary: object, model: str) -> None:
    """Refuse reasoning that was not issued by this workspace for this model, word for word."""
    entries = require_list(f"{where}.summary", summary)
    if len(entries) != 1:
        refuse(f"{where}.summary: List should have exactly 1 item after validation, not {len(entries)}")
    entry = require_object(f"{where}.summary.0", entries[0])
    if entry.get("type") == "summary_encrypted_text":
        refuse_extra(f"{where}.summary.0", entry, frozenset({"type", "data"}))
        if not is_redacted_data(require_string(f"{where}.summary.0.data", entry.get("data")), model):
            refuse(f"{where}: Invalid `data` in `redacted_thinking` block")
        return
    if entry.get("type") != "summary_text":
        refuse(f"{where}.summary.0.type: Input should be 'summary_text' or 'summary_encrypted_text'")
    refuse_extra(f"{where}.summary.0", entry, frozenset({"type", "text", "signature"}))
    text = require_string(f"{where}.summary.0.text", entry.get("text"))
    if not is_signature(require_string(f"{where}.summary.0.signature", entry.get("signature")), text, model):
        refuse(f"{where}: Invalid `signature` in `thinking` block")
