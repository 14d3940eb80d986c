"""How many tokens an image and a PDF are: by what they measure, not by how many bytes they take.

An image costs a token for 750 pixels, and is made smaller before if it is larger than the model sees
(Anthropic's documentation). A page of a PDF costs its picture and its text. Sizes are read from the first
bytes of the formats, pages are counted by their objects; what cannot be read costs what is usual.
"""

from __future__ import annotations

import binascii
import struct
from typing import Final

from ccr.protocol.tool_memory import Memory

PIXELS_PER_TOKEN: Final = 750
IMAGE_TOKENS: Final = 1600
"""The most that one image costs, and what one costs whose size is not known."""
MIN_IMAGE_TOKENS: Final = 10
MAX_EDGE_PIXELS: Final = 1568
PAGE_TOKENS: Final = 2300
"""The picture of a page, about 1,600, and a text of usual density."""
BASE64_PER_PAGE: Final = 75_000
"""Of documents whose pages cannot be counted."""
MAX_COUNTED_CHARS: Final = 6_000_000
"""Larger documents are estimated by their size: counting would take more than some milliseconds."""

_HEAD_CHARS: Final = 64
_PDF_START: Final = "JVBERi"
_JPEG_CHARS: Final = 128 * 1024
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
_PAGE_COUNTS: Final[Memory[tuple[int, str, str], int]] = Memory()


def image_tokens(data: str) -> int:
    """Return the tokens of an image. data: Base64."""
    size = _size_in(_decoded(data, _HEAD_CHARS)) or _jpeg_size(data)
    if size is None or 0 in size:
        return IMAGE_TOKENS
    width, height = size
    shrunk = min(1.0, MAX_EDGE_PIXELS / max(width, height))
    tokens = round(width * shrunk * height * shrunk / PIXELS_PER_TOKEN)
    return min(IMAGE_TOKENS, max(MIN_IMAGE_TOKENS, tokens))


def document_tokens(data: str) -> int:
    """Return the tokens of a PDF. data: Base64."""
    pages = _page_count(data) or max(1.0, len(data) / BASE64_PER_PAGE)
    return round(pages * PAGE_TOKENS)


def inline_tokens(data: str) -> int:
    """Return the tokens of an image or a PDF, whichever it is. data: Base64."""
    return document_tokens(data) if data.startswith(_PDF_START) else image_tokens(data)


def _page_count(data: str) -> int:
    """Return how many pages a PDF has, 0 where that cannot be seen. The last documents are remembered."""
    if len(data) > MAX_COUNTED_CHARS:
        return 0
    key = len(data), data[: 2 * _HEAD_CHARS], data[-2 * _HEAD_CHARS :]
    known = _PAGE_COUNTS.get(key)
    if known is None:
        known = _pages_in(_decoded(data, len(data)))
        _PAGE_COUNTS.put(key, known)
    return known


def _pages_in(document: bytes) -> int:
    pages = sum(document.count(word) for word in (b"/Type/Page", b"/Type /Page"))
    return pages - sum(document.count(word) for word in (b"/Type/Pages", b"/Type /Pages"))


def _size_in(head: bytes) -> tuple[int, int] | None:
    """Return the width and height that a PNG, GIF or WebP begins with; None for others."""
    try:
        if head.startswith(b"\x89PNG"):
            width, height = struct.unpack_from(">II", head, 16)
        elif head.startswith(b"GIF8"):
            width, height = struct.unpack_from("<HH", head, 6)
        elif head[8:16] == b"WEBPVP8 ":
            width, height = (edge & 0x3FFF for edge in struct.unpack_from("<HH", head, 26))
        elif head[8:16] == b"WEBPVP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif head[8:16] == b"WEBPVP8X":
            width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        else:
            return None
    except struct.error:
        return None
    return width, height


def _jpeg_size(data: str) -> tuple[int, int] | None:
    """Return the size that a JPEG's frame header names; None where none is among the first bytes."""
    image = _decoded(data, _JPEG_CHARS)
    if not image.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF:
        marker = image[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", image, at + 5)
            return width, height
        at += 2 + int.from_bytes(image[at + 2 : at + 4], "big")
    return None


def _decoded(data: str, chars: int) -> bytes:
    """Return the bytes of the first characters (a multiple of four); b"" when they are no Base64."""
    try:
        return binascii.a2b_base64(data[:chars])
    except ValueError:
        return b""
