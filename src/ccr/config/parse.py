"""From the bytes of config.json to plain values: JSON, with comments and trailing commas, else JSON5.

The strict parser of the standard library comes first and serves nearly every file; comments and trailing
commas are blanked out next (positions stay); the complete but slow JSON5 parser is imported only for the
rest: single quotes, bare keys, hexadecimal numbers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
JSON5_MESSAGE = re.compile(r"<string>:(?P<line>\d+) (?P<what>.+) at column (?P<column>\d+)", re.DOTALL)
NOT_NEWLINE = re.compile(r"[^\n]")


class MalformedError(ValueError):
    """The text is in no accepted form; the message says where, and quotes one character at most."""


class Table(dict[str, Any]):
    """A JSON object that remembers which of its keys were written more than once (the last one counts)."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        pairs = list(pairs)
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated = tuple(key for key in self if keys.count(key) > 1)


def values_from_bytes(data: bytes) -> Any:
    """Return what the file says; objects are ``Table``. Raises MalformedError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedError(f"bytes that are not UTF-8, at byte {error.start}") from error
    try:
        return _values_from_text(text)
    except RecursionError as error:
        raise MalformedError("objects or lists nested too deeply") from error


def _values_from_text(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=Table)
    except json.JSONDecodeError:
        pass
    try:
        return json.loads(without_comments(text), object_pairs_hook=Table)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise MalformedError("an empty file") from error
    import json5  # imported here: slow to import, and needed by few files

    try:
        return json5.loads(text, object_pairs_hook=Table)
    except ValueError as error:
        raise MalformedError(f"text that is not JSON, {_place(str(error))}") from error


def _place(message: str) -> str:
    """Say where a JSON5 parser stopped; its message is ``<string>:LINE WHAT at column COLUMN``."""
    found = JSON5_MESSAGE.fullmatch(message)
    if found is None:
        return f"at line {message.removeprefix('<string>:')}"
    what = found["what"].replace('"""', "'\"'")  # the character it did not expect is a quotation mark itself
    return f"at line {found['line']}, column {found['column']}: {what[:1].lower()}{what[1:]}"


def without_comments(text: str) -> str:
    """Blank out comments, then trailing commas, outside of strings; the rest keeps its position."""
    return TRAILING_COMMA.sub(_blank, COMMENT.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else NOT_NEWLINE.sub(" ", found)
