"""From a preset and its answers to the configuration of a service. Pure.

Placeholders are ``#{field}``, as in the npm router's templates, and ``{{field}}``; only ids of the schema
count. In the status line ``{{…}}`` is a variable of its own, whatever the schema asks for. What no answer
fills is left out, so that the person's own provider of that name can fill it, if it leads to the same place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.config.key_path import NoSuchKeyError, document_with, place_of
from ccr.errors import StartError
from ccr.presets.answers import holds
from ccr.presets.manifest import CLIENT_SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.presets.manifest import Preset

PLACEHOLDER: Final = re.compile(r"#\{([^{}]+)\}|\{\{\s*([^{}\s]+)\s*\}\}")
OF_TEMPLATES: Final = re.compile(r"#\{([^{}]+)\}")
OF_THE_MAIN_SERVICE: Final = ("PORT", "APIKEY", "HOST", "Router", "fallback")
"""What a preset does not take over from the person's configuration."""


class _Missing:
    """Stands for a text whose placeholders nothing fills."""


MISSING: Final = _Missing()


def filled(preset: Preset, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the preset's keys of config.json. folder: of the preset, where its relative paths start.

    Raises StartError when a target of configMappings leads nowhere.
    """
    ids = frozenset(question.id for question in preset.questions)
    source = preset.template if preset.template is not None else preset.config
    document: dict[str, Any] = dict(_filled(dict(source), ids, values))
    if preset.template is None:
        document = {key: value for key, value in document.items() if key not in ids}
    else:
        # keys beside a template are settings of the preset itself
        document = {**{key: preset.config[key] for key in CLIENT_SIDE if key in preset.config}, **document}
    for mapping in preset.mappings:
        document = _mapped(document, mapping, ids, values)
    for name, value in values.items():
        if "." in name or "[" in name:
            document = _placed(document, name, value)
    return with_whole_paths(document, folder)


def service_document(base: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of the preset's service: the person's, with the preset's keys on top.

    A provider of the preset replaces, key by key, the person's of the same name; but one that leads elsewhere
    gets nothing of it, least of all the key. Port and key are the service's own; routes are the preset's
    alone, if it has some.
    """
    document = {
        key: value
        for key, value in base.items()
        if key not in OF_THE_MAIN_SERVICE or (key in ("Router", "fallback") and not preset.get("Router"))
    }
    document |= {
        key: value for key, value in preset.items() if key not in (*CLIENT_SIDE, "Providers", "providers")
    }
    own, theirs = _providers(preset), _providers(base)
    named = {str(each.get("name")).lower(): each for each in theirs}
    merged = [_merged(named.pop(str(each.get("name")).lower(), {}), each) for each in own]
    document.pop("providers", None)
    document["Providers"] = [*merged, *named.values()]
    chosen = named.get(str(preset.get("provider", "")).lower())
    if chosen is not None and not preset.get("Router") and chosen.get("models"):
        document["Router"] = {"default": f"{chosen['name']},{chosen['models'][0]}"}
    document.setdefault("PORT", 0)
    return document


def with_whole_paths(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration whose relative paths of files start at ``folder``."""
    whole = dict(document)
    files = document.get("transformers")
    if isinstance(files, list):
        whole["transformers"] = [_with_path(each, "path", folder) for each in files]
    for key in ("CUSTOM_ROUTER_PATH", "REWRITE_SYSTEM_PROMPT"):
        whole = dict(_with_path(whole, key, folder))
    styles = document.get("StatusLine")
    if isinstance(styles, dict):
        whole["StatusLine"] = {
            name: {**style, "modules": [_with_path(each, "scriptPath", folder) for each in style["modules"]]}
            if isinstance(style, dict) and isinstance(style.get("modules"), list)
            else style
            for name, style in styles.items()
        }
    return whole


def placeholders_in(value: Any) -> set[str]:
    """Return the names of all placeholders in a document."""
    if isinstance(value, str):
        return {match[1] or match[2] for match in PLACEHOLDER.finditer(value)}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(placeholders_in(part) for part in parts))


def _filled(
    value: Any, ids: frozenset[str], values: Mapping[str, Any], pattern: re.Pattern[str] = PLACEHOLDER
) -> Any:
    if isinstance(value, str):
        return _text(value, ids, values, pattern)
    if isinstance(value, dict):
        parts = {
            key: _filled(entry, ids, values, OF_TEMPLATES if key == "StatusLine" else pattern)
            for key, entry in value.items()
        }
        return {key: part for key, part in parts.items() if part is not MISSING}
    if isinstance(value, list):
        kept = [part for entry in value if (part := _filled(entry, ids, values, pattern)) is not MISSING]
        return kept if kept or not value else MISSING  # an empty list would hide the person's own
    return value


def _text(text: str, ids: frozenset[str], values: Mapping[str, Any], pattern: re.Pattern[str]) -> Any:
    found = [match[match.lastindex or 0] for match in pattern.finditer(text)]
    wanted = [name for name in found if name in ids]
    if not wanted:
        return text
    if any(values.get(name) in (None, "") for name in wanted):
        return MISSING
    whole = pattern.fullmatch(text)
    if whole is not None:
        return values[wanted[0]]  # alone it keeps its type

    def value_of(match: re.Match[str]) -> str:
        name = match[match.lastindex or 0]
        return str(values[name]) if name in ids else match[0]

    return pattern.sub(value_of, text)


def _mapped(
    document: dict[str, Any], mapping: Mapping[str, Any], ids: frozenset[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    when = mapping.get("when")
    conditions: Sequence[Any] = when if isinstance(when, list) else [when] if when else []
    target = mapping.get("target")
    if not isinstance(target, str) or not all(
        isinstance(each, dict) and holds(each, values) for each in conditions
    ):
        return document
    value = _filled(mapping.get("value"), ids, values)
    return document if value is MISSING else _placed(document, target, value)


def _placed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    try:
        return dict(document_with(document, place_of(document, path), value))
    except NoSuchKeyError as error:
        raise StartError(f"The preset sets a key that cannot be set: {error}") from error


def _with_path(entry: Any, key: str, folder: Path) -> Any:
    path = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path or path.startswith(("~", "$")) or Path(path).is_absolute():
        return entry
    return {**entry, key: str(folder / path)}


def _merged(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preset's provider, completed by the person's if both ask at the same place."""
    places = (_place(own), _place(theirs))
    return {**theirs, **own} if places[0] in (None, places[1]) else dict(own)


def _place(provider: Mapping[str, Any]) -> str | None:
    """Return where a provider's requests go: scheme, host and port; None when it does not say."""
    for key in ("api_base_url", "host"):
        if key in provider:
            written = str(provider[key]).strip()
            parts = urlsplit(written if "://" in written else f"https://{written}")
            return f"{parts.scheme}://{parts.netloc}".lower()
    return "a profile" if "profile" in provider else None


def _providers(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("Providers") or document.get("providers") or []
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
