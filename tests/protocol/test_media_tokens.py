"""Images by their pixels, PDFs by their pages, and what cannot be read by what is usual."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol.media_tokens import (
    BASE64_PER_PAGE,
    IMAGE_TOKENS,
    MAX_COUNTED_CHARS,
    MIN_IMAGE_TOKENS,
    PAGE_TOKENS,
    document_tokens,
    image_tokens,
    inline_tokens,
)
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from collections.abc import Callable


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def png_of(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


def gif_of(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0" * 20


def jpeg_of(width: int, height: int) -> bytes:
    frame = segment(0xC2, b"\x08" + struct.pack(">HH", height, width) + b"\x03")
    return b"\xff\xd8" + segment(0xE1, b"Exif" + b"x" * 60_000) + segment(0xC4, b"tables") + frame


def webp_of(kind: bytes, body: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + body + b"\0" * 30


def lossy_of(width: int, height: int) -> bytes:
    return webp_of(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height))


def lossless_of(width: int, height: int) -> bytes:
    return webp_of(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def extended_of(width: int, height: int) -> bytes:
    sizes = b"".join((edge - 1).to_bytes(3, "little") for edge in (width, height))
    return webp_of(b"VP8X", b"\0\0\0\0" + sizes)


FORMATS = (png_of, gif_of, jpeg_of, lossy_of, lossless_of, extended_of)


def text(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize("format_of", FORMATS)
@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (300, 250, 100),
        (1092, 1092, 1590),
        (1568, 8, 17),
        (3136, 1000, 1045),
        (8000, 8000, IMAGE_TOKENS),
        (8, 8, MIN_IMAGE_TOKENS),
    ],
)
def test_an_image_counts_by_its_pixels(
    format_of: Callable[[int, int], bytes], width: int, height: int, tokens: int
) -> None:
    assert image_tokens(text(format_of(width, height))) == tokens


def test_a_whole_picture_is_read() -> None:
    assert image_tokens(text(png(100, 75))) == 10


@pytest.mark.parametrize(
    "data",
    [
        "",
        "A" * 500_000,
        "no base64: é",
        "abcde",
        text(b"\x89PNG"),
        text(gif_of(0, 7)),
        text(b"\xff\xd8" + segment(0xE1, b"x" * 200)),
        text(b"\xff\xd8no segment"),
        text(b"BM bitmap"),
    ],
)
def test_what_cannot_be_read_costs_what_is_usual(data: str) -> None:
    assert image_tokens(data) == IMAGE_TOKENS


def pages(count: int, page: bytes = b"<< /Type /Page /Parent 2 0 R >>") -> str:
    return text(b"%PDF-1.4\n<< /Type /Pages >> << /Type/Pages >>" + page * count + b"\n%%EOF")


@pytest.mark.parametrize("count", [1, 7, 200])
@pytest.mark.parametrize("page", [b"<< /Type /Page /Parent 2 0 R >>", b"<</Type/Page/Parent 2 0 R>>"])
def test_a_document_counts_by_its_pages(count: int, page: bytes) -> None:
    data = pages(count, page)
    assert document_tokens(data) == count * PAGE_TOKENS
    assert document_tokens(data) == count * PAGE_TOKENS, "remembered"


def test_what_is_inlined_is_told_by_its_beginning() -> None:
    assert inline_tokens(pages(3)) == 3 * PAGE_TOKENS
    assert inline_tokens(text(png_of(300, 250))) == 100


def test_a_whole_document_is_read() -> None:
    assert document_tokens(text(pdf())) == PAGE_TOKENS


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        ("", PAGE_TOKENS),
        ("é", PAGE_TOKENS),
        ("A" * 10 * BASE64_PER_PAGE, 10 * PAGE_TOKENS),
        (pages(3) + "A" * MAX_COUNTED_CHARS, 80 * PAGE_TOKENS),
    ],
)
def test_a_document_whose_pages_cannot_be_counted_counts_by_its_size(data: str, tokens: int) -> None:
    assert document_tokens(data) == pytest.approx(tokens, rel=0.01)


@given(st.one_of(st.text(), st.binary().map(text)), st.sampled_from([b"", *(of(9, 9) for of in FORMATS)]))
def test_nothing_fails_or_costs_nothing(data: str, start: bytes) -> None:
    assert MIN_IMAGE_TOKENS <= image_tokens(text(start[:-2]) + data) <= IMAGE_TOKENS
    assert document_tokens(data) >= PAGE_TOKENS
