"""Thinking in the opaque form in which clients hand it back."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol.responses_reasoning import PREFIX, encrypted_content, summary_from_encrypted

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, TEXT)
def test_what_was_signed_comes_back_word_for_word(text: str, signature: str) -> None:
    entry = {"type": "summary_text", "text": text, "signature": signature}
    assert summary_from_encrypted(encrypted_content(text, signature)) == entry


@given(TEXT.filter(bool))
def test_what_nobody_else_can_read_comes_back(data: str) -> None:
    entry = {"type": "summary_encrypted_text", "data": data}
    assert summary_from_encrypted(encrypted_content("", "", data)) == entry


@pytest.mark.parametrize(
    "inner",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"type":"summary_text","text":"x"}',
        b'{"type":"summary_text","signature":"x"}',
        b'{"type":"summary_encrypted_text"}',
        b'{"type":"other","text":"x","signature":"y"}',
        b'{"type":"summary_text","text":"x","signature":"y","more":1}',
    ],
)
def test_anything_else_is_not_ours(inner: bytes) -> None:
    assert summary_from_encrypted(PREFIX + base64.b64encode(inner).decode()) is None


@pytest.mark.parametrize("content", ["", "gAAAAB", PREFIX + "?", PREFIX + "e30é"])
def test_what_is_not_base64_is_not_ours(content: str) -> None:
    assert summary_from_encrypted(content) is None
