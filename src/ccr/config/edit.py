"""Change what a JSON or JSON5 file means and leave everything else as the person wrote it. Pure.

`text_with(text, value)` compares what is there with what shall be and edits only the differences: comments,
the order of keys, quotes, indentation, line ends and trailing commas stay. After each edit the text is read
again and compared, so that an edit that would go wrong is refused rather than written.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ccr.config.key_path import NAMING
from ccr.config.parse import MalformedError, values_from_bytes
from ccr.config.syntax import Node, tree_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INLINE_CHARS: Final = 80
INLINE_DEPTH: Final = 2
"""A value up to this length and depth is written in one line: ``{ "use": ["openrouter"] }``."""
MAX_STEPS: Final = 5_000
"""Every step is one edit that stays; more than this is no configuration."""
BOM: Final = "\ufeff"
HEADERS: Final = "headers"
LINE_REST: Final = re.compile(r"[^\S\r\n]*(?://[^\r\n]*|(?:/\*[^\r\n]*?\*/[^\S\r\n]*)*)")
MEMBER_INDENT: Final = re.compile(r"(?:^|\n)([ \t]+)[^\s]")


def bytes_with(data: bytes, value: Any) -> bytes:
    """Return the file's content with only what differs from ``value`` changed. Raises MalformedError."""
    text = data.decode("utf-8-sig")
    start = BOM if data.startswith(BOM.encode()) else ""
    return (start + text_with(text, value)).encode()


def text_with(text: str, value: Any) -> str:
    """Return ``text`` changed so that it means ``value``. Raises MalformedError when that is not possible."""
    if not text.strip():
        text = "{}\n"
    for _ in range(MAX_STEPS):
        stepped = _step(text, tree_of(text), _values(text), value)
        if stepped is None:
            return text
        text = stepped
    raise MalformedError("text that cannot be edited without loss; change it by hand")


def masked_text(text: str, is_secret: Callable[[str, str], bool], mask: str = '"***"') -> str:
    """Return the text with every string hidden for which ``is_secret(key, string)`` holds.

    Items of a list count under the list's key, as `name_within` says. Raises MalformedError.
    """
    spans = [
        (node.start, node.end)
        for key, node in _strings(tree_of(text), "")
        if text[node.start] in "\"'" and is_secret(key, unquoted(text[node.start : node.end]))
    ]
    for start, end in reversed(spans):
        text = text[:start] + mask + text[end:]
    return text


def name_within(key: str, name: str) -> str:
    """Return the name by which a value is judged that stands at ``name`` in an object at ``key``.

    What stands in ``headers`` is a header, whatever it is called.
    """
    return key if key == HEADERS else name


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two documents say the same; unlike ``==`` it tells ``1`` from ``true``."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _values(text: str) -> Any:
    return values_from_bytes(text.encode())


def _strings(node: Node, key: str) -> list[tuple[str, Node]]:
    if node.kind == "scalar":
        return [(key, node)]
    return [
        found
        for entry in node.entries
        for found in _strings(entry.node, name_within(key, entry.key) if node.kind == "object" else key)
    ]


class _Style:
    """How a text is laid out; taken from the text itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        indent = MEMBER_INDENT.search(text)
        self.unit = indent[1] if indent else "  "
        self.is_compact = "\n" not in text.strip()

    def indent_at(self, position: int) -> str:
        """Return the indentation of the line of a position."""
        line = self.text[self.text.rfind("\n", 0, position) + 1 :]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def written(self, value: Any, indent: str) -> str:
        """Return a value in this style; ``indent`` is that of the line it begins in."""
        short = json.dumps(value, ensure_ascii=False)
        if self.is_compact or not value or not isinstance(value, dict | list):
            return short
        if _depth(value) <= INLINE_DEPTH and len(short) <= INLINE_CHARS:
            return f"{{ {short[1:-1]} }}" if isinstance(value, dict) else short
        inner = indent + self.unit
        if isinstance(value, dict):
            parts = [f"{_key(key)}: {self.written(each, inner)}" for key, each in value.items()]
        else:
            parts = [self.written(each, inner) for each in value]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        joint = self.newline + inner
        return f"{opening}{joint}{f',{joint}'.join(parts)}{self.newline}{indent}{closing}"


def _step(text: str, node: Node, old: Any, new: Any) -> str | None:
    """Return the text after the first edit it needs, None when ``node`` means ``new`` already."""
    if is_same(old, new):
        return None
    if node.kind == "object" and isinstance(new, dict):
        return _step_in_object(text, node, old, new)
    if node.kind == "list" and isinstance(new, list):
        return _step_in_list(text, node, old, new)
    style = _Style(text)
    return text[: node.start] + style.written(new, style.indent_at(node.start)) + text[node.end :]


def _step_in_object(text: str, node: Node, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    for index, entry in enumerate(node.entries):
        if entry.key not in new:
            return _without(text, node, index)
        if entry is node.entry(entry.key):  # of a key written twice the last one counts
            stepped = _step(text, entry.node, old[entry.key], new[entry.key])
            if stepped is not None:
                return stepped
    added = next((key for key in new if node.entry(key) is None), None)
    return None if added is None else _appended(text, node, new[added], f"{_key(added)}: ")


def _step_in_list(text: str, node: Node, old: Sequence[Any], new: Sequence[Any]) -> str | None:
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if not is_same(old[at], new[at])), shorter)
    if len(old) == len(new):
        return _step(text, node.entries[head].node, old[head], new[head])
    if len(old) > len(new):
        return _without(text, node, _first_other(old, new, head))
    head = min(_first_other(new, old, head), len(old))
    if head == len(old):
        return _appended(text, node, new[head])
    entry = node.entries[head]
    style = _Style(text)
    is_inline = "\n" not in text[node.start : entry.start]
    indent = style.indent_at(entry.start)
    joint = ", " if is_inline else "," + style.newline + indent
    return text[: entry.start] + style.written(new[head], indent) + joint + text[entry.start :]


def _first_other(these: Sequence[Any], those: Sequence[Any], otherwise: int) -> int:
    """Return the index of the first entry that the other list has not even in another form.

    An object is known by its ``name`` or ``path``, so that a changed provider is changed and not replaced.
    """
    known = [_identity(each) for each in those]
    return next((at for at, each in enumerate(these) if _identity(each) not in known), otherwise)


def _identity(value: Any) -> str:
    names = [value.get(key) for key in NAMING] if isinstance(value, dict) else []
    return next((name for name in names if isinstance(name, str)), json.dumps(value, sort_keys=True))


def _appended(text: str, node: Node, value: Any, key: str = "") -> str:
    """Return the text with one more entry at the end of an object or list."""
    style = _Style(text)
    if not node.entries:
        return _filled(text, node, value, key)
    last = node.entries[-1]
    is_inline = "\n" not in text[node.start : last.start]
    indent = style.indent_at(last.start)
    is_short = is_inline and len(json.dumps(value, ensure_ascii=False)) <= INLINE_CHARS
    shown = json.dumps(value, ensure_ascii=False) if is_short else style.written(value, indent)
    addition = (" " if is_inline else style.newline + indent) + key + shown
    if last.comma is None:
        text = text[: last.node.end] + "," + text[last.node.end :]
        end = last.node.end + 1
    else:
        addition += ","
        end = last.comma + 1
    at = end if is_inline else _end_of_line(text, end)
    return text[:at] + addition + text[at:]


def _filled(text: str, node: Node, value: Any, key: str) -> str:
    """Return the text with a first entry in an empty object or list; comments in it stay."""
    style = _Style(text)
    inside = text[node.start + 1 : node.end - 1]
    outer = style.indent_at(node.start)
    if not inside.strip() and (style.is_compact or node.kind == "list"):
        pad = " " if node.kind == "object" else ""
        body = pad + key + style.written(value, outer) + pad
    else:
        indent = outer + style.unit
        body = inside.rstrip() + style.newline + indent + key + style.written(value, indent)
        body += style.newline + outer
    return text[: node.start + 1] + body + text[node.end - 1 :]


def _without(text: str, node: Node, index: int) -> str:
    """Return the text without an entry, its comma, its line when that is its own, and the comment on it."""
    entry = node.entries[index]
    end = entry.node.end if entry.comma is None else entry.comma + 1
    line = text.rfind("\n", 0, entry.start) + 1
    stop = _end_of_line(text, end)
    if line and not text[line : entry.start].strip() and text[stop : stop + 1] in ("\r", "\n"):
        start = line - (2 if text[:line].endswith("\r\n") else 1)
    elif entry.comma is None:
        start, stop = len(text[: entry.start].rstrip(" \t")), end
    else:
        start, stop = entry.start, len(text) - len(text[end:].lstrip(" \t"))
    text = text[:start] + text[stop:]
    before = node.entries[index - 1].comma if index else None
    if entry.comma is None and before is not None:
        text = text[:before] + text[before + 1 :]  # not every reader takes a comma at the end
    return text


def _end_of_line(text: str, end: int) -> int:
    """Return where the comment behind ``end`` is over, if it is the last on its line; else ``end``."""
    rest = LINE_REST.match(text, end)
    return rest.end() if rest and text[rest.end() : rest.end() + 1] in ("\r", "\n") else end


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, parts), default=0)
