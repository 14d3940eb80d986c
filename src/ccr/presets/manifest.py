"""``manifest.json`` of a preset as values: what it says of itself, what it asks, what it configures. Pure.

The form is that of the npm router's version 2: keys of metadata, ``schema``, ``template``, ``configMappings``
and ``userValues`` beside each other, and every other key is one of config.json.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METADATA: Final = (
    *("name", "version", "description", "author", "homepage", "repository", "license", "keywords"),
    *("ccrVersion", "source", "sourceType", "checksum"),
)
ABOUT: Final = ("schema", "template", "configMappings", "userValues")
CLIENT_SIDE: Final = ("noServer", "claudeCodeSettings", "provider")
"""Keys that are no part of the service's configuration."""
KINDS: Final = ("password", "input", "number", "select", "multiselect", "confirm", "editor")
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One entry of ``schema``. when: conditions, all of which must hold. options: of a choice, as written."""

    id: str
    kind: str = "input"
    label: str = ""
    prompt: str = ""
    default: Any = None
    is_required: bool = True
    when: tuple[Mapping[str, Any], ...] = ()
    options: Any = None
    lowest: float | None = None
    highest: float | None = None
    pattern: str | None = None


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A manifest. config: its keys of config.json. values: what was answered when it was installed."""

    name: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    template: Mapping[str, Any] | None = None
    mappings: tuple[Mapping[str, Any], ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def check_name(name: str) -> str:
    """Return a name that can be a folder's and a command's. Raises StartError."""
    if not NAME.fullmatch(name) or name.endswith("."):
        raise StartError(f"{name!r} is no name for a preset; letters, digits, dots, - and _ may be in it.")
    return name


def preset_from(document: Any, name: str) -> Preset:
    """Return the preset that a manifest describes. Raises StartError with what is wrong in it."""
    if not isinstance(document, dict):
        raise StartError("manifest.json is no JSON object.")
    template, mappings = document.get("template"), _tables(document, "configMappings")
    if template is not None and not isinstance(template, dict):
        raise StartError("manifest.json: template is no object.")
    values = document.get("userValues") or {}
    if not isinstance(values, dict):
        raise StartError("manifest.json: userValues is no object.")
    return Preset(
        name=name,
        metadata={key: document[key] for key in METADATA if key in document},
        config={key: value for key, value in document.items() if key not in (*METADATA, *ABOUT)},
        questions=tuple(_question(entry) for entry in _tables(document, "schema")),
        template=template,
        mappings=tuple(mappings),
        values=values,
    )


def manifest_with(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with other answers."""
    kept = {key: value for key, value in document.items() if key != "userValues"}
    return {**kept, "userValues": dict(values)} if values else kept


def _question(entry: Mapping[str, Any]) -> Question:
    name = entry.get("id")
    if not isinstance(name, str) or not name:
        raise StartError("manifest.json: an entry of schema has no id.")
    kind = entry.get("type", "input")
    if kind not in KINDS:
        raise StartError(
            f"manifest.json: schema {name}: there is no type {kind!r}; one of {', '.join(KINDS)}."
        )
    when = entry.get("when")
    conditions = when if isinstance(when, list) else [when] if isinstance(when, dict) else []
    pattern = entry.get("validator")
    return Question(
        id=name,
        kind=kind,
        label=_text(entry.get("label")) or name,
        prompt=_text(entry.get("prompt")),
        default=entry.get("defaultValue"),
        is_required=entry.get("required") is not False,
        when=tuple(condition for condition in conditions if isinstance(condition, dict)),
        options=entry.get("options"),
        lowest=_number(entry.get("min")),
        highest=_number(entry.get("max")),
        pattern=pattern if isinstance(pattern, str) else None,
    )


def _tables(document: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    entries = document.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StartError(f"manifest.json: {key} is no list of objects.")
    return entries


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
