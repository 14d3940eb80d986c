"""Texts of any content, changed by `with_texts`."""

from __future__ import annotations

from typing import Any

import pytest

from ccr import with_texts

IMAGE = {"type": "image_url", "image_url": {"url": "https://h/a.png"}}
THINKING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a", "signature": "s"}]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a", "A"),
        ("", ""),
        (None, None),
        ([], []),
        (
            [THINKING, {"type": "text", "text": "a", "cache_control": {}}, IMAGE],
            [THINKING, {"type": "text", "text": "A", "cache_control": {}}, IMAGE],
        ),
        ([{"type": "text", "text": None}, "a", 5], [{"type": "text", "text": None}, "a", 5]),
    ],
)
def test_with_texts(content: Any, expected: Any) -> None:
    assert with_texts(content, str.upper) == expected


def test_nothing_is_changed_in_place() -> None:
    part = {"type": "text", "text": "a"}
    with_texts([part], str.upper)
    assert part == {"type": "text", "text": "a"}
