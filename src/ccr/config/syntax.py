"""Where everything stands in the text of a JSON or JSON5 file: objects, lists, members, commas, comments.

Only positions; what the file means is said by `parse`. Needed to change one value and leave every other
character as the person wrote it (`edit`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ccr.config.parse import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+)
    |(?P<comment>//[^\r\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<mark>[{}\[\]:,])
    |(?P<word>[^\s{}\[\]:,"'/]+)""",
    re.VERBOSE | re.DOTALL,
)
ENDS = {"{": "}", "[": "]"}

Kind = Literal["object", "list", "scalar"]


@dataclass
class Node:
    """A value at ``text[start:end]``. entries: of an object or a list, in order."""

    kind: Kind
    start: int
    end: int
    entries: list[Entry] = field(default_factory=list)

    def entry(self, key: str | int) -> Entry | None:
        """Return the entry of that key (the last one, which is the one that counts) or at that index."""
        if isinstance(key, int):
            return self.entries[key] if key < len(self.entries) else None
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)


@dataclass
class Entry:
    """A member of an object, or an item of a list (no key). start: of the key, or of the item.

    comma: where the comma after it stands, None when there is none.
    """

    key: str
    start: int
    node: Node
    comma: int | None = None


def tree_of(text: str) -> Node:
    """Return the value of a text with its parts. Raises MalformedError."""
    reader = _Reader(text)
    try:
        node = reader.value()
    except RecursionError as error:
        raise MalformedError("objects or lists nested too deeply") from error
    if reader.token.group() != "":
        raise MalformedError(f"more than one value, at character {reader.token.start()}")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = self._significant(text)
        self.token = next(self._tokens)

    @staticmethod
    def _significant(text: str) -> Iterator[re.Match[str]]:
        at = 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise MalformedError(f"text that is not JSON, at character {at}")
            at = match.end()
            if match.lastgroup not in ("space", "comment"):
                yield match
        end = re.compile("").match(text, len(text))
        while end is not None:
            yield end

    def _take(self) -> re.Match[str]:
        token = self.token
        self.token = next(self._tokens)
        return token

    def value(self) -> Node:
        """Read one value."""
        token = self._take()
        opening = token.group()
        if opening not in ENDS:
            if token.lastgroup not in ("string", "word"):
                raise MalformedError(f"no value, at character {token.start()}")
            return Node("scalar", token.start(), token.end())
        node = Node("object" if opening == "{" else "list", token.start(), token.end())
        while self.token.group() != ENDS[opening]:
            node.entries.append(self._member() if opening == "{" else self._item())
            if self.token.group() == ",":
                node.entries[-1].comma = self._take().start()
            elif self.token.group() != ENDS[opening]:
                raise MalformedError(f"no comma, at character {self.token.start()}")
        node.end = self._take().end()
        return node

    def _item(self) -> Entry:
        start = self.token.start()
        return Entry("", start, self.value())

    def _member(self) -> Entry:
        token = self._take()
        if token.lastgroup not in ("string", "word") or self.token.group() != ":":
            raise MalformedError(f"no key, at character {token.start()}")
        self._take()
        key = token.group() if token.lastgroup == "word" else unquoted(token.group())
        return Entry(key, token.start(), self.value())


def unquoted(literal: str) -> str:
    """Return the text of a string as written, in either kind of quotes. Raises MalformedError."""
    try:
        return str(json.loads(literal))
    except json.JSONDecodeError:
        pass
    import json5  # imported here: slow to import, and needed by few files

    try:
        return str(json5.loads(literal))
    except ValueError as error:
        raise MalformedError("a string that cannot be read") from error
