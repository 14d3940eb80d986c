"""Tool schemas in the words that Gemini takes, for endpoints that refuse every other keyword.

Gemini's function declarations know a part of JSON Schema (its `Schema` object; databricks.md §2 names what
Databricks' Gemini endpoints refuse). What is outside of it goes by rule, in this order of care: a schema
that says the same where there is one (references inlined, ``const`` as ``enum``), a narrower one where the
schema offers a choice (every value that fits it fits the original too), a wider one for mere constraints.
Numbers, texts and the order of keys stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from ccr.protocol.request_rules import Rules

KEPT: Final = frozenset(
    {
        "default",
        "description",
        "maximum",
        "maxItems",
        "maxLength",
        "minimum",
        "minItems",
        "minLength",
        "nullable",
        "title",
    }
)
"""Keywords whose values are copied; those with rules of their own are in `_Reduction`."""
FORMATS: Final = frozenset({"date-time", "double", "enum", "float", "int32", "int64"})
CHOICES: Final = ("anyOf", "oneOf", "allOf")
MAX_REFERENCES: Final = 100
"""References inlined in one schema: they may multiply each other, and a schema must stay a schema."""

Keys = dict[str, Raw]

_KEYS: Final = msgspec.json.Decoder(Keys)
_LIST: Final = msgspec.json.Decoder(list[Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_NULL: Final = b"null"


def plain_schema(schema: Raw | Keys, rules: Rules) -> Raw | None:
    """Return the schema of a tool's parameters in Gemini's words; None for a tool that takes none.

    ``schema``: a JSON object, or its keys; valid JSON in valid UTF-8.
    """
    root = schema if isinstance(schema, dict) else _KEYS.decode(schema)
    plain = _Reduction(root, rules).schema(root, frozenset())
    return Raw(msgspec.json.encode(plain)) if plain.get("properties") else None


class _Reduction:
    """One schema's way: ``root`` is what its references point into."""

    def __init__(self, root: Keys, rules: Rules) -> None:
        self._root = root
        self._rules = rules
        self._references = 0

    def schema(self, keys: Keys, open_references: frozenset[str]) -> dict[str, Any]:
        """Return one schema; open_references: those it is part of, which would never end."""
        keys, open_references = self._without_references(keys, open_references)
        keys, open_references, is_nullable = self._without_choice(keys, open_references)
        plain: dict[str, Any] = {}
        for key, value in keys.items():
            if key in KEPT:
                plain[key] = value
            elif key == "type":
                is_nullable |= self._add_type(plain, value)
            elif key in ("enum", "const"):
                is_nullable |= self._add_enum(plain, value)
            elif key == "format" and _is_text(value) and _TEXT.decode(value) in FORMATS:
                plain[key] = value
            elif key == "properties" and _is_object(value):
                plain[key] = {
                    name: self._inner(each, open_references) for name, each in _KEYS.decode(value).items()
                }
            elif key == "items" and _is_object(value):
                plain[key] = self._inner(value, open_references)
            elif key != "required":
                self._rules.add(RequestRule.SCHEMA_KEYWORDS_DROPPED)
        self._add_required(plain, keys)
        if is_nullable:
            plain["nullable"] = True
        self._add_what_must_be_there(plain)
        return plain

    def _inner(self, value: Raw, open_references: frozenset[str]) -> dict[str, Any]:
        return self.schema(_KEYS.decode(value) if _is_object(value) else {}, open_references)

    # -- references and choices

    def _without_references(self, keys: Keys, open_references: frozenset[str]) -> tuple[Keys, frozenset[str]]:
        """Return the keys with what their ``$ref`` points to; without it where that has no end."""
        while "$ref" in keys:
            siblings = {key: value for key, value in keys.items() if key != "$ref"}
            name = _TEXT.decode(keys["$ref"]) if _is_text(keys["$ref"]) else ""
            found = self._found(name)
            self._references += 1
            if found is None or name in open_references or self._references > MAX_REFERENCES:
                self._rules.add(RequestRule.SCHEMA_KEYWORDS_DROPPED)
                return {"type": Raw(b'"object"'), **siblings}, open_references
            self._rules.add(RequestRule.SCHEMA_REFERENCE_INLINED)
            open_references |= {name}
            keys = {**found, **siblings}
        return keys, open_references

    def _found(self, name: str) -> Keys | None:
        """Return what a pointer into this document (``#/$defs/Name``) points to, None for any other."""
        if not name.startswith("#/"):
            return None
        keys = self._root
        for step in name[2:].split("/"):
            value = keys.get(step.replace("~1", "/").replace("~0", "~"))
            if value is None or not _is_object(value):
                return None
            keys = _KEYS.decode(value)
        return keys

    def _without_choice(
        self, keys: Keys, open_references: frozenset[str]
    ) -> tuple[Keys, frozenset[str], bool]:
        """Return the keys with one branch of their ``anyOf`` (…) in its place, and whether null is another.

        Branches that only name values become one ``enum``. A schema that has a type of its own stays
        without its branches: they are conditions on it.
        """
        is_nullable = False
        for word in CHOICES:
            if word not in keys:
                continue
            branches = [
                self._without_references(_KEYS.decode(each), open_references)
                for each in _list(keys[word])
                if _is_object(each)
            ]
            keys = {key: value for key, value in keys.items() if key != word}
            others = [branch for branch in branches if branch[0].get("type") != Raw(b'"null"')]
            is_nullable |= len(others) < len(branches)
            if "type" in keys or "properties" in keys or not others:
                self._rules.add(RequestRule.SCHEMA_KEYWORDS_DROPPED)
                continue
            if all("const" in branch or "enum" in branch for branch, _ in others):
                values = [value for branch, _ in others for value in _values(branch)]
                return {**keys, "enum": Raw(msgspec.json.encode(values))}, open_references, is_nullable
            if len(others) > 1:
                self._rules.add(RequestRule.SCHEMA_CHOICE_REDUCED)
            branch, inner_references = others[0]
            inner, inner_references, is_inner_nullable = self._without_choice(branch, inner_references)
            return {**inner, **keys}, inner_references, is_nullable or is_inner_nullable
        return keys, open_references, is_nullable

    # -- keywords with rules of their own

    def _add_type(self, plain: dict[str, Any], value: Raw) -> bool:
        """Add the one type that is taken; return whether null is another."""
        types = [each for each in _list(value) if _is_text(each)] if not _is_text(value) else [value]
        others = [each for each in types if each != Raw(b'"null"')]
        if len(others) > 1:
            self._rules.add(RequestRule.SCHEMA_CHOICE_REDUCED)
        if others:
            plain["type"] = others[0]
        return len(others) < len(types)

    def _add_enum(self, plain: dict[str, Any], value: Raw) -> bool:
        """Add the values to choose from, which must be texts; return whether null is another."""
        values = _list(value) if bytes(value)[:1] == b"[" else [value]
        others = [each for each in values if bytes(each) != _NULL]
        if others and all(_is_text(each) for each in others):
            plain["enum"] = others
        else:
            self._rules.add(RequestRule.SCHEMA_KEYWORDS_DROPPED)
        return len(others) < len(values)

    @staticmethod
    def _add_required(plain: dict[str, Any], keys: Keys) -> None:
        """Add those of the required names that are properties: others are refused."""
        if "required" not in keys:
            return
        properties = plain.get("properties", {})
        names = [_TEXT.decode(each) for each in _list(keys["required"]) if _is_text(each)]
        required = [name for name in names if name in properties]
        if required:
            plain["required"] = required

    def _add_what_must_be_there(self, plain: dict[str, Any]) -> None:
        """Add a type where there is none, and items to an array: neither may be missing."""
        if "type" not in plain:
            word = next((word for key, word in _TYPE_OF_KEY.items() if key in plain), "")
            if not word:
                self._rules.add(RequestRule.SCHEMA_CHOICE_REDUCED)
            plain["type"] = word or "string"
        if bytes(msgspec.json.encode(plain["type"])) == b'"array"' and "items" not in plain:
            plain["items"] = {"type": "string"}


_TYPE_OF_KEY: Final = {"properties": "object", "items": "array", "enum": "string"}


def _values(branch: Keys) -> list[Raw]:
    return [branch["const"]] if "const" in branch else _list(branch["enum"])


def _list(value: Raw) -> list[Raw]:
    return _LIST.decode(value) if bytes(value)[:1] == b"[" else []


def _is_object(value: Raw) -> bool:
    return bytes(value)[:1] == b"{"


def _is_text(value: Raw) -> bool:
    return bytes(value)[:1] == b'"'
