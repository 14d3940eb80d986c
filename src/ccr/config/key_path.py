"""Paths of keys as people write them: ``Router.default``, ``Providers[0].models``, ``Providers.db.api_key``.

An entry of a list is named by its index or by its ``name`` (a transformer's file by its ``path``). A key
with dots in it is found as it stands, or is written in brackets: ``transformer["gpt-4.1"].use``. Pure:
documents go in, documents come out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Place = tuple[str | int, ...]

PART: Final = re.compile(r"""\.?([^.\[\]"']+)|\[\s*(?:"([^"]*)"|'([^']*)'|([^\]"']+))\s*\]""")
NAMING: Final = ("name", "path")


class NoSuchKeyError(ValueError):
    """The path leads nowhere; the message is a sentence."""


def place_of(document: Mapping[str, Any], path: str) -> Place:
    """Return the keys and indices that ``path`` names in ``document``; the last ones may be new.

    Raises NoSuchKeyError.
    """
    parts = _parts(path)
    place: list[str | int] = []
    here: Any = document
    while parts:
        key, taken = _key_in(here, parts, path)
        place.append(key)
        parts = parts[taken:]
        here = _child(here, key)
    return tuple(place)


def value_at(document: Any, place: Place) -> Any:
    """Return the value at a place. Raises NoSuchKeyError when there is none."""
    for depth, key in enumerate(place):
        is_there = (isinstance(document, dict) and key in document) or (
            isinstance(document, list) and isinstance(key, int) and key < len(document)
        )
        if not is_there:
            raise NoSuchKeyError(f"{shown(place[: depth + 1])} is not in the configuration.")
        document = document[key]
    return document


def document_with(document: Any, place: Place, value: Any) -> Any:
    """Return a copy with ``value`` at a place; objects on the way are made."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        items = list(document)
        inner = document_with(items[key] if key < len(items) else {}, rest, value)
        return [*items[:key], inner, *items[key + 1 :]]
    table = dict(document) if isinstance(document, dict) else {}
    return {**table, key: document_with(table.get(key), rest, value)}


def document_without(document: Any, place: Place) -> Any:
    """Return a copy without what stands at a place, which is there."""
    key, rest = place[0], place[1:]
    if rest:
        return document_with(document, (key,), document_without(document[key], rest))
    if isinstance(document, list):
        return [entry for index, entry in enumerate(document) if index != key]
    return {name: entry for name, entry in document.items() if name != key}


def shown(place: Place) -> str:
    """Return a place as it is written in messages."""
    text = ""
    for key in place:
        if isinstance(key, int):
            text += f"[{key}]"
        elif PART.fullmatch(key):
            text += f".{key}" if text else key
        else:
            text += f'["{key}"]'
    return text


def _parts(path: str) -> list[str]:
    parts, at = [], 0
    while at < len(path):
        match = PART.match(path, at)
        if match is None:
            break
        parts.append(next(group for group in match.groups() if group is not None).strip())
        at = match.end()
    if at < len(path) or not parts:
        raise NoSuchKeyError(f"{path!r} is no path of a key; one is Router.default, or Providers[0].models.")
    return parts


def _key_in(here: Any, parts: Sequence[str], path: str) -> tuple[str | int, int]:
    """Return the next key of a place and how many parts of the path it takes."""
    if isinstance(here, list):
        return _index_in(here, parts[0], path), 1
    if here is not None and not isinstance(here, dict):
        raise NoSuchKeyError(f"{path}: there is nothing below a value that is no object or list.")
    table = here or {}
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in table:
            return name, count
    return _respelled(parts[0], table), 1


def _index_in(entries: Sequence[Any], name: str, path: str) -> int:
    if name.isdecimal():
        if int(name) > len(entries):
            raise NoSuchKeyError(
                f"{path}: the list has {len(entries)} entries; the next index is {len(entries)}."
            )
        return int(name)
    names = [_name_of(entry) for entry in entries]
    if name.lower() in (known.lower() for known in names):
        return [known.lower() for known in names].index(name.lower())
    known = ", ".join(filter(None, names)) or "indices only"
    raise NoSuchKeyError(f"{path}: the list has no entry named {name!r}; it has {known}.")


def _name_of(entry: Any) -> str:
    values = [entry.get(key) for key in NAMING] if isinstance(entry, dict) else [entry]
    return next((value for value in values if isinstance(value, str)), "")


def _respelled(name: str, table: Mapping[str, Any]) -> str:
    """Return the key in the file's own capitals: ``router`` is ``Router`` there."""
    return next((key for key in table if key.lower() == name.lower()), name)


def _child(here: Any, key: str | int) -> Any:
    if isinstance(here, list):
        return here[key] if isinstance(key, int) and key < len(here) else None
    return here.get(key) if isinstance(here, dict) else None
