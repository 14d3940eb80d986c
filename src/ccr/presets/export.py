"""From a configuration to a manifest that can be given away: no secret, nothing of this machine. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ccr.config.masking import SECRET_OPTION
from ccr.presets.manifest import METADATA
from ccr.protocol.redaction import redacted
from ccr.setup.document import OPEN_VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPORTED: Final = (
    *("Providers", "Router", "fallback", "transformers", "StatusLine", "CUSTOM_ROUTER_PATH"),
    "REWRITE_SYSTEM_PROMPT",
    *("API_TIMEOUT_MS", "NON_INTERACTIVE_MODE", "ANTHROPIC_SMALL_FAST_MODEL", "forceUseImageAgent"),
)
"""Everything else is of this machine: addresses, ports, keys, proxies, logs, programs."""
IN_A_URL: Final = re.compile(r"://[^/@\s]+@")
QUERY: Final = re.compile(r"(?<=[?&])([\w.-]+)=([^&#$]+)")
HEADERS: Final = "headers"
"""Of a tokenizer: any value may be a key."""
PROVIDERS: Final = ("Providers", "providers")
FURTHER_KEYS: Final = "api_keys"
NOT_IN_AN_ID: Final = re.compile(r"\W+")


@dataclass
class _Taken:
    """What was taken out. schema: id of a question -> its entry. keys: what was left out, nobody is asked."""

    schema: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def placeholder(self, key: str, owner: str) -> str:
        """Return the placeholder for a secret; owner: the provider it belongs to."""
        stem = NOT_IN_AN_ID.sub("_", f"{owner}_{key}".strip("_"))
        name, number = stem, 2
        while name in self.schema:
            name, number = f"{stem}_{number}", number + 1
        label = f"{key} of {owner}" if owner else key
        self.schema[name] = {"id": name, "type": "password", "label": label, "required": False}
        return f"#{{{name}}}"


def exported(
    document: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the manifest, the ids of the secrets taken out, and the keys that were left out.

    Variables (``$NAME``) stay: they are no secrets. A secret without an answer is taken from the installing
    person's own provider of that name.
    """
    taken = _Taken()
    kept = {}
    for key in ("providers", *EXPORTED):
        if key in document:
            kept["Providers" if key == "providers" else key] = _without_secrets(document[key], taken, "", key)
    manifest = {key: metadata[key] for key in METADATA if metadata.get(key)}
    if taken.schema:
        manifest |= {"schema": list(taken.schema.values()), "template": kept}
    else:
        manifest |= kept
    left_out = [key for key in document if key not in (*EXPORTED, "providers", "$schema")]
    return manifest, list(taken.schema), [*left_out, *taken.keys]


def _without_secrets(value: Any, taken: _Taken, owner: str, key: str) -> Any:
    if isinstance(value, dict):
        if key == HEADERS:
            return {name: _header(entry, taken, owner, name) for name, entry in value.items()}
        if key in PROVIDERS:
            owner = str(value.get("name") or "")
            value = _with_one_key(value, taken, owner)
        return {each: _without_secrets(entry, taken, owner, each) for each, entry in value.items()}
    if isinstance(value, list):
        return [_without_secrets(entry, taken, owner, key) for entry in value]
    if not isinstance(value, str) or OPEN_VALUE.fullmatch(value):
        return value
    is_secret = SECRET_OPTION.search(key) is not None
    bare = QUERY.sub("", value)
    if is_secret or redacted(bare) != bare or IN_A_URL.search(bare):
        return taken.placeholder(key, owner)
    return QUERY.sub(lambda found: _parameter(found, taken, owner), value)


def _header(value: Any, taken: _Taken, owner: str, name: str) -> Any:
    is_open = not isinstance(value, str) or not value or OPEN_VALUE.fullmatch(value)
    return value if is_open else taken.placeholder(name, owner)


def _with_one_key(provider: Mapping[str, Any], taken: _Taken, owner: str) -> dict[str, Any]:
    """Return a provider without further keys: who installs the preset is asked for one."""
    entry = {name: each for name, each in provider.items() if name != FURTHER_KEYS}
    keys = provider.get("api_key")
    if isinstance(keys, list):
        entry["api_key"] = next(iter(keys), "")
    if entry != provider:
        taken.keys.append(f"further keys of {owner}")
    return entry


def _parameter(found: re.Match[str], taken: _Taken, owner: str) -> str:
    """Return a parameter of a URL, its value a placeholder where it is a secret."""
    whole = f"?{found[0]}"
    return found[0] if redacted(whole) == whole else f"{found[1]}={taken.placeholder(found[1], owner)}"
