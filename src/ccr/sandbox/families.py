"""Models of other vendors on the chat routes: what each family takes, and what it refuses. Pure.

Checked beside what every chat request is checked for. Source: reference notes databricks.md §2 (request
table, message rules, limits) and §5; where a doubt is left, the stricter reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ccr.sandbox.refusals import Refused, coded, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """What a vendor's models take.

    reasoning_effort: the parameter. sampling: temperature, top_p and top_k. images: image parts of the user.
    one_call: one tool call in an assistant message at most. alternates: see `ROLES`. plain_schemas: Gemini's
    keywords only.
    """

    reasoning_effort: bool = False
    sampling: bool = True
    images: bool = False
    one_call: bool = False
    alternates: bool = False
    plain_schemas: bool = False


FAMILIES: Final = {
    "gpt-oss": Family(reasoning_effort=True, one_call=True),
    "gpt": Family(reasoning_effort=True, sampling=False, images=True),
    "kimi": Family(reasoning_effort=True, images=True),
    "deepseek": Family(reasoning_effort=True),
    "llama": Family(one_call=True, alternates=True, images=True),
    "gemini": Family(images=True, plain_schemas=True),
}
OTHER: Final = Family()
"""A vendor that the notes say nothing about."""

EFFORTS: Final = frozenset({"low", "medium", "high"})
ROLES: Final = (
    "Chat message input roles must alternate (user -> assistant -> ...) with an optional system at the "
    "start. Tool messages must follow a preceding assistant message containing tool calls."
)
SCHEMA_KEYWORDS: Final = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "default",
        "items",
        "properties",
        "required",
    }
    | {"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"}
)
_CLAUDES_OWN: Final = ("thinking", "output_config")
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def family_of(endpoint: str) -> Family | None:
    """Return the family of an endpoint by its name; None for Claude."""
    name = endpoint.lower()
    if "claude" in name:
        return None
    return next((family for word, family in FAMILIES.items() if re.search(rf"\b{word}", name)), OTHER)


def check_family(body: Json, family: Family) -> None:
    """Refuse what a model of this family does not take."""
    _check_options(body, family)
    for place, value in _objects(body):
        if "cache_control" in value:
            refuse(f"{place}.cache_control: Extra inputs are not permitted")
    for index, message in enumerate(body.get("messages") or ()):
        _check_content(f"messages.{index}", message, family)
    if family.one_call:
        _check_single_calls(body)
    if family.alternates:
        _check_alternation(body)
    if family.plain_schemas:
        for index, tool in enumerate(body.get("tools") or ()):
            _check_schema(f"tools.{index}.function", tool.get("function", {}))


def _check_options(body: Json, family: Family) -> None:
    for key in _CLAUDES_OWN:
        if key in body:
            refuse(f"{key}: Extra inputs are not permitted")
    if "reasoning_effort" in body:
        if not family.reasoning_effort:
            refuse("reasoning_effort: Extra inputs are not permitted")
        if body["reasoning_effort"] not in EFFORTS:
            refuse(f"reasoning_effort: Input should be one of {', '.join(sorted(EFFORTS))}")
    if not family.sampling:
        for key in _SAMPLING:
            if key in body:
                refuse(f"Unsupported value: '{key}' is not supported with this model.")


def _check_content(where: str, message: Json, family: Family) -> None:
    content = message.get("content")
    if not isinstance(content, list):
        return
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        taken = kind == "text" or (kind == "image_url" and family.images)
        if message.get("role") != "user" or not taken:
            refuse(f"{where}.content.{index}: parts of type '{kind}' are not supported with this model.")


def _check_single_calls(body: Json) -> None:
    if any(len(message.get("tool_calls") or ()) > 1 for message in body.get("messages") or ()):
        refuse("Multiple tool calls are not supported.")


def _check_alternation(body: Json) -> None:
    before = "system"
    for message in body.get("messages") or ():
        role = message.get("role")
        allowed = {
            "system": ("user",),
            "user": ("assistant",),
            "assistant": ("user", "tool"),
            "tool": ("assistant",),
        }[before]
        if role != "system" and role not in allowed:
            raise Refused(coded(400, "BAD_REQUEST", ROLES))
        before = role or before


def _check_schema(where: str, function: Json) -> None:
    if "parameters" not in function:
        return
    if not function["parameters"].get("properties"):
        _invalid_argument(f"{where}.parameters.properties: should be non-empty for OBJECT type")
    _check_keywords(f"{where}.parameters", function["parameters"])


def _check_keywords(where: str, schema: object) -> None:
    if not isinstance(schema, dict):
        _invalid_argument(f"{where}: Invalid value, a schema is expected")
    for key, value in schema.items():
        if key not in SCHEMA_KEYWORDS:
            _invalid_argument(
                f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field."
            )
        if key == "type" and not isinstance(value, str):
            _invalid_argument(f"Invalid value at '{where}.type', a string is expected")
        if key == "items":
            _check_keywords(f"{where}.items", value)
        elif key == "properties":
            for name, inner in value.items():
                _check_keywords(f"{where}.properties.{name}", inner)


def _invalid_argument(sentence: str) -> NoReturn:
    raise Refused(coded(400, "INVALID_ARGUMENT", sentence))


def _objects(value: object, where: str = "") -> Iterator[tuple[str, Json]]:
    """Yield the objects of a prompt with their places; schemas and arguments are none of it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _objects(item, f"{where}.{index}")
    elif isinstance(value, dict):
        if where:
            yield where, value
        for key in value.keys() & {"messages", "tools", "content", "tool_calls", "function"}:
            yield from _objects(value[key], f"{where}.{key}" if where else key)
