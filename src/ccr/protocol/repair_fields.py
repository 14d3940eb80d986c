"""Fields that an upstream refuses: read out of its sentence, and taken out of a request.

Upstreams name a field by its path in their own terms (``tools.0.custom.strict``); where it lies in ccr's
request depends on the format of that, which a `Shape` describes. So indices and names of variants are not
followed: what is refused in one tool is taken out of all tools, what is refused in one content part out of
all parts. Schemas, tool inputs and whatever a request cannot do without are never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Place = tuple[str, ...]
"""The keys from the request to the objects that may hold a field; arrays on the way are walked whole."""

PARTS: Final[Place] = ("messages", "content")
CALLS: Final[Place] = ("messages", "tool_calls", "function")
TOOLS: Final[Place] = ("tools", "function")
PLACES: Final[tuple[Place, ...]] = ((), ("messages",), PARTS, CALLS, TOOLS, ("thinking",), ("output_config",))
MARK: Final = "cache_control"
_MARKED: Final = ((), ("messages",), PARTS, CALLS, TOOLS)
MAX_FIELDS: Final = 8
"""How many paths of one refusal are read."""

_NEEDED_AT_TOP: Final = frozenset(
    {"model", "messages", "tools", "max_tokens", "max_completion_tokens", "stream"}
)
_NEEDED_IN_MESSAGE: Final = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_NEEDED_BELOW: Final = frozenset(
    {"type", "text", "name", "description", "parameters", "function", "id", "arguments", "url", "image_url"}
    | {"file", "filename", "file_data", "file_id", "summary", "signature", "data", "budget_tokens", "content"}
)
_OPAQUE: Final = frozenset({"input_schema", "parameters", "input", "arguments", "schema", "json_schema"})
_CONTAINERS: Final = frozenset(
    {"messages", "content", "tool_calls", "tools", "thinking", "output_config", "tool_choice", MARK}
    | {"system", "metadata", "source"}
)
_CHAT_NAME: Final = {
    "thinking": "summary",
    "redacted_thinking": "summary",
    "reasoning": "summary",
    "image": "image_url",
}

_LOOK_BACK_CHARS: Final = 200
_EXTRA: Final = re.compile(r"extra inputs are not permitted", re.IGNORECASE)
_PATH_AT_END: Final = re.compile(r"[\w$.\-\[\]]+\Z")
_LOCATION: Final = re.compile(r"""\\*["']loc\\*["']\s*:\s*[\[(]([^\])]{1,200})[\])]""")
_NAMED: Final = re.compile(
    r"\b(?:unknown|unrecognized|unsupported|unexpected) (?:request |keyword )?"
    r"(?:fields?|parameters?|arguments?|keys?|names?|propert(?:y|ies))(?: supplied)?:? "
    r"""\\*["'`]?([\w$][\w$.\[\]-]{0,199})(?:\\*["'`])?(?: at \\*["'`]([\w$.\[\]-]{1,199}))?""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Field:
    """A refused field: its key, and the places to take it from. ``name`` is what a person is told."""

    name: str
    key: str
    places: tuple[Place, ...]


class Shape(NamedTuple):
    """Where the fields of a request lie in one format.

    places: everywhere a field may be that was named without its place. marked: what may hold a cache
    breakpoint. place_of: the place for the names in an upstream's path (indices left out), () at the top and
    when it is not known. is_needed: whether a request cannot do without a key at a place.
    """

    places: tuple[Place, ...]
    marked: tuple[Place, ...]
    place_of: Callable[[Place], Place]
    is_needed: Callable[[Place, str], bool]


def fields_in(text: str, shape: Shape | None = None) -> Iterator[Field]:
    """Yield the fields that a refusal names, each once; those that are needed or opaque are left out.

    shape: of the request that was refused, the chat format's when None.
    """
    seen: set[Field] = set()
    for parts in islice(_paths_in(text), MAX_FIELDS):
        field = field_from_path(parts, shape or CHAT_SHAPE)
        if field is not None and field not in seen:
            seen.add(field)
            yield field


def field_from_path(parts: tuple[str, ...], shape: Shape) -> Field | None:
    """Return the field at a path in an upstream's terms, indices left out; None when it must stay."""
    *names, key = parts
    if MARK in parts:
        inside = key != MARK and key not in _NEEDED_BELOW
        return mark_field(key, shape.marked) if inside else Field(MARK, MARK, shape.marked)
    if not _OPAQUE.isdisjoint(names):
        return None
    place = shape.place_of(tuple(names))
    if not place:
        places = tuple(each for each in shape.places if not shape.is_needed(each, key))
        return Field(key, key, places) if () in places else None
    if shape.is_needed(place, key):
        return None
    return Field(".".join([*(name for name in place if name != "function"), key]), key, (place,))


def mark_field(key: str, marked: tuple[Place, ...]) -> Field:
    """Return the field ``key`` of every cache breakpoint."""
    return Field(f"{MARK}.{key}", key, tuple((*place, MARK) for place in marked))


MARK_FIELD: Final = Field(MARK, MARK, _MARKED)
"""Every cache breakpoint itself, in the chat format."""

_Request = TypeVar("_Request")


def without_field(request: _Request, field: Field) -> _Request:
    """Return the request (a JSON object) without the field; the same object when it has none.

    A field that may be anywhere is taken from the top when it is there, else from everywhere.
    """
    value: Any = request
    is_at_top = () in field.places and field.key in value
    for place in ((),) if is_at_top and field.key != MARK else field.places:
        value = without_key(value, place, field.key)
    return cast("_Request", value)


def without_key(value: Any, place: Place, key: str) -> Any:
    """Return a JSON value without ``key`` in the objects at ``place``; the same object when there is none.

    A name of the place that an object does not have is taken for that of a variant, and passed over. An
    object with nothing left in it goes too.
    """
    if isinstance(value, Raw):
        opened = opened_from(value)
        changed = opened if opened is value else without_key(opened, place, key)
        return value if changed is opened else changed
    if isinstance(value, list):
        items = [without_key(item, place, key) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if not isinstance(value, dict):
        return value
    if not place:
        return {name: inner for name, inner in value.items() if name != key} if key in value else value
    head, rest = place[0], place[1:]
    if head in value:
        inner = without_key(value[head], rest, key)
        if inner is not value[head]:
            value = {**value, head: inner}
            if inner == {}:
                del value[head]
    return value if head in _CONTAINERS else without_key(value, rest, key)


def opened_from(value: Any) -> Any:
    """Return an object or array one level deep where the value is one in Raw; other values as they are."""
    if not isinstance(value, Raw) or memoryview(value)[0] not in b"{[":
        return value
    return _OPENED.decode(value)


_OPENED: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(dict[str, Raw] | list[Raw])


def _place(names: Place) -> Place:
    """Return where in a chat request an upstream's place is; () at the top, and when it is not known."""
    if not names:
        return ()
    head, rest = names[0], names[1:]
    if head == "system":
        return PARTS
    if head == "tools":
        return (*TOOLS, *(name for name in rest if name not in ("function", "custom")))
    if head == "messages":
        return _place_in_message(rest)
    return names if head in _CONTAINERS else ()


def _place_in_message(names: Place) -> Place:
    if "tool_use" in names or "tool_calls" in names:
        return CALLS
    if "content" not in names:
        return ("messages", *names)
    after = names[names.index("content") + 1 :]
    return (
        *PARTS,
        *(_CHAT_NAME.get(name, name) for name in after if name not in _CONTAINERS or name in _CHAT_NAME),
    )


def _is_needed(place: Place, key: str) -> bool:
    if not place:
        return key in _NEEDED_AT_TOP
    return key in (_NEEDED_IN_MESSAGE if place == ("messages",) else _NEEDED_BELOW)


CHAT_SHAPE: Final = Shape(PLACES, _MARKED, _place, _is_needed)


def _paths_in(text: str) -> Iterator[tuple[str, ...]]:
    for match in _EXTRA.finditer(text):
        before = text[max(0, match.start() - _LOOK_BACK_CHARS) : match.start()].rstrip(" \t\r\n:`'\"\\")
        path = _PATH_AT_END.search(before)
        if path is not None:
            yield from _parts(path[0])
    for match in _LOCATION.finditer(text):
        yield from _parts(".".join(word.strip(" \\\"'") for word in match[1].split(",")))
    for match in _NAMED.finditer(text):
        yield from _parts(f"{match[2]}.{match[1]}" if match[2] else match[1])


def _parts(path: str) -> Iterator[tuple[str, ...]]:
    parts = tuple(name for name in re.split(r"[.\[\]]+", path) if name and not name.isdecimal())
    if parts[:1] == ("body",):
        parts = parts[1:]
    if parts:
        yield parts
