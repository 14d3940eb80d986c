"""The texts in the content of a message, for steps that change what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def with_texts(content: Any, change: Callable[[str], str]) -> Any:
    """Return the content of a message, of an answer or of a delta with each of its texts changed.

    content: a text, a list of parts, or None; what is no text (images, Claude's thinking, None) stays.
    change: gets a text, returns the one in its place.
    """
    if isinstance(content, str):
        return change(content)
    if not isinstance(content, list):
        return content
    return [_with_text(part, change) for part in content]


def _with_text(part: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        return part
    return {**part, "text": change(part["text"])}
