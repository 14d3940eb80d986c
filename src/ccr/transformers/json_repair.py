"""A JSON object from a text that was meant to be one: JSON, JSON5, then a repair of what models get wrong.

Mended are: code fences around, single or typographic quotes, names and texts without quotes, raw line ends
and wrong escapes in texts, quotes inside texts, missing and superfluous commas, comments, Python's words for
values, brackets that were not closed, and an object that was put into a text as a whole. A name without a
value says nothing and goes. Whatever else follows the object makes it no object: nothing is guessed.

The event loop waits meanwhile, so the work is bounded: by length, by depth, and by steps, of which a text
that is written to waste them has no more than any other. What would take more stays as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import json5

MAX_CHARS: Final = 1_000_000
MAX_JSON5_CHARS: Final = 2_000
"""The JSON5 parser takes some 20 ms for a thousand characters: longer texts go straight to the repair."""
MAX_DEPTH: Final = 64
MAX_STEPS: Final = 100_000
"""Some 0.1 s: a text of 100,000 characters that needs a repair at every second one."""
CHARS_A_STEP: Final = 50
"""Blank space and comments that are looked over for one step."""

_FENCE: Final = re.compile(r"\s*```[a-zA-Z0-9]*[ \t]*\n?(?P<text>.*?)(?:```\s*)?", re.DOTALL)
_SPACE: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
_BARE_NAME: Final = re.compile(r"[^\s\"':,{}\[\]]+")
_NOT_IN_A_NAME: Final = re.compile(r"[:,{}\n]")
"""In a name that the end of the text cuts off: signs that it was not one, but had lost its quote."""
_BARE_VALUE: Final = re.compile(r"[^,}\]\n]+")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_HEX: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_CLOSING: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_WORDS: Final = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "undefined": None,
}
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_JSON5_ESCAPES: Final = frozenset("bfnrtv0xu'\"\\/\r\n")
"""JSON5 drops the backslash of all others: of a path on Windows, of a pattern."""
_TRAILING: Final = re.compile(r"[\s;}\])`]*")


def repaired_object(text: str) -> str | None:
    """Return the object as JSON, None when the text cannot be taken for one."""
    if len(text) > MAX_CHARS:
        return None
    fence = _FENCE.fullmatch(text)
    text = fence["text"] if fence is not None else text
    for read in (_from_json, _from_json5, _from_broken):
        value = read(text)
        if isinstance(value, str):
            value = _from_json(value)
        if isinstance(value, dict):
            return _json(value)
    return None


def _json(value: dict[str, Any]) -> str | None:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only escape
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return None
    return text


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_json5(text: str) -> Any:
    if len(text) > MAX_JSON5_CHARS or any(
        match[1] not in _JSON5_ESCAPES for match in _ESCAPED.finditer(text)
    ):
        return None
    try:
        return json5.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_broken(text: str) -> Any:
    try:
        return _Reader(text).whole()
    except ValueError:
        return None


class _Reader:
    """Reads a text from left to right. Raises ValueError on what it does not understand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.steps = 0
        """What the work took so far."""

    def whole(self) -> Any:
        self._space()
        if self._next() != "{":
            raise ValueError("no object")
        value = self._object()
        if not _TRAILING.fullmatch(self._text, self._at):
            raise ValueError("more than an object")
        return value

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _space(self) -> None:
        self._at = self._space_end()

    def _space_end(self) -> int:
        """Return where blank space and comments end that begin here."""
        match = _SPACE.match(self._text, self._at)
        end = match.end() if match is not None else self._at
        self._step(1 + (end - self._at) // CHARS_A_STEP)
        return end

    def _step(self, steps: int = 1) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ValueError("too much work")

    def _value(self) -> Any:
        first = self._next()
        if first == "{":
            return self._object()
        if first == "[":
            return self._array()
        if first in _CLOSING and first:
            return self._string()
        return self._bare()

    def _enter(self) -> None:
        self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("too deep")

    def _leave(self) -> None:
        self._at += 1
        self._depth -= 1

    def _object(self) -> dict[str, Any]:
        self._enter()
        members: dict[str, Any] = {}
        while self._more("}"):
            name = self._name()
            self._space()
            if self._next() != ":":
                if self._at < len(self._text) or _NOT_IN_A_NAME.search(name):
                    raise ValueError("a name without a value")
                break
            self._at += 1
            self._space()
            if self._next() in ("", ",", "}"):
                continue
            members[name] = self._value()
        self._leave()
        return members

    def _array(self) -> list[Any]:
        self._enter()
        items = []
        while self._more("]"):
            items.append(self._value())
        self._leave()
        return items

    def _more(self, close: str) -> bool:
        """Skip what separates; tell whether something stands before the closing bracket or the end."""
        self._space()
        while self._next() == ",":
            self._at += 1
            self._space()
        found = self._next()
        if found in ("}", "]") and found != close:
            raise ValueError("brackets that do not match")
        return found not in ("", close)

    def _name(self) -> str:
        if self._next() in _CLOSING:
            return self._string(is_name=True)
        match = _BARE_NAME.match(self._text, self._at)
        if match is None:
            raise ValueError("no name")
        self._at = match.end()
        return match[0]

    def _bare(self) -> Any:
        match = _BARE_VALUE.match(self._text, self._at)
        if match is None:
            raise ValueError("no value")
        self._at = match.end()
        word = match[0].strip()
        if word in _WORDS:
            return _WORDS[word]
        if _HEX.fullmatch(word):
            return int(word, 16)
        if not _NUMBER.fullmatch(word):
            return word
        try:
            return int(word)
        except ValueError:
            return float(word)

    def _string(self, *, is_name: bool = False) -> str:
        close = _CLOSING[self._next()]
        self._at += 1
        pieces: list[str] = []
        stops = re.compile(rf"[\\{close}]")
        while True:
            self._step()
            match = stops.search(self._text, self._at)
            if match is None:
                pieces.append(self._text[self._at :])
                self._at = len(self._text)
                return "".join(pieces)
            pieces.append(self._text[self._at : match.start()])
            self._at = match.end()
            if match[0] == "\\":
                pieces.append(self._escape())
            elif is_name or self._is_end():
                return "".join(pieces)
            else:
                pieces.append(close)

    def _is_end(self) -> bool:
        """Whether the quote just read ends its text: then something that goes on with the object follows."""
        end = self._space_end()
        after = self._text[end : end + 1]
        return after in ("", ",", ":", "}", "]") or after in _CLOSING

    def _escape(self) -> str:
        found = self._next()
        self._at += 1
        if found == "u":
            digits = self._text[self._at : self._at + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                self._at += 4
                return self._character(int(digits, 16))
        if found == "\n":
            return ""
        return _ESCAPES.get(found) or (found if found in _CLOSING else f"\\{found}")

    def _character(self, code: int) -> str:
        low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self._text, self._at)
        if 0xD800 <= code < 0xDC00 and low is not None:
            self._at = low.end()
            return chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
