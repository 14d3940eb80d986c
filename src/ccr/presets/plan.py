"""What a preset would do: the configuration of its service, and what to know before trusting it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.config.interpolate import VARIABLE
from ccr.config.load import config_from_bytes
from ccr.launcher.environment import REMOVED
from ccr.presets.fill import filled, service_document, with_whole_paths
from ccr.setup.config_change import read_written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ccr.config.model import Config, Step
    from ccr.config.paths import Paths
    from ccr.presets.manifest import Preset

CLIENT_VARIABLES: Final = (
    *("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "NO_PROXY", "no_proxy"),
    *REMOVED,
)
"""A preset does not decide whom the client talks to: that is its service."""


@dataclass(frozen=True)
class Plan:
    """document: config.json of the preset's service. settings: for ``claude --settings``."""

    document: dict[str, Any]
    settings: dict[str, Any]

    @property
    def data(self) -> bytes:
        """The configuration as it is written."""
        return json.dumps(self.document, indent=2, ensure_ascii=False).encode() + b"\n"

    def config(
        self,
        file: Path,
        environ: Mapping[str, str],
        *,
        check_step: Callable[[Step], object] | None = None,
    ) -> Config:
        """Return the configuration; raises ConfigError with everything that is wrong in it."""
        return config_from_bytes(self.data, environ, file=str(file), check_step=check_step)


def plan_of(paths: Paths, preset: Preset, values: Mapping[str, Any], folder: Path) -> Plan:
    """Return what a preset with these answers would do beside the person's configuration.

    Raises StartError, ConfigError.
    """
    base = read_written(paths.config_file, may_be_missing=True).document
    own = filled(preset, values, folder)
    return Plan(service_document(with_whole_paths(base, paths.home), own), _settings(own))


def facts_of(preset: Preset, values: Mapping[str, Any], folder: Path) -> dict[str, list[str]]:
    """Return what the person should know before installing: where it sends, what it reads, what it runs."""
    own = filled(preset, values, folder)
    urls = [*_urls_of_providers(own), *_urls_in(own.get("plugins")), *_urls_in(own.get("Plugins"))]
    prompt = own.get("REWRITE_SYSTEM_PROMPT")
    settings = _settings(own)
    env = settings.pop("env", {})
    return {
        "sends requests to": sorted({urlsplit(url).netloc or url for url in urls if url}),
        "reads variables": sorted(set(_variables(own))),
        "runs files": _files(own),
        "puts into every prompt": [prompt] if isinstance(prompt, str) and prompt else [],
        "sets in Claude Code": sorted([*settings, *(f"env.{name}" for name in env)]),
    }


def _urls_of_providers(own: Mapping[str, Any]) -> list[str]:
    """Return where providers are asked, and the services that count tokens for them."""
    found = []
    for each in own.get("Providers") or own.get("providers") or []:
        if isinstance(each, dict):
            found += [
                str(each.get("api_base_url") or each.get("host") or ""),
                *_urls_in(each.get("tokenizer")),
            ]
    return found


def _urls_in(value: Any) -> list[str]:
    """Return every text at a key ``url`` in a value."""
    if isinstance(value, dict):
        own = [entry for key, entry in value.items() if key == "url" and isinstance(entry, str)]
        return [*own, *(url for entry in value.values() for url in _urls_in(entry))]
    return [url for entry in value for url in _urls_in(entry)] if isinstance(value, list) else []


def _settings(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of Claude Code, without what would lead it past the service."""
    settings = own.get("claudeCodeSettings")
    settings = dict(settings) if isinstance(settings, dict) else {}
    env = settings.get("env")
    if isinstance(env, dict):
        settings["env"] = {key: value for key, value in env.items() if key not in CLIENT_VARIABLES}
    else:
        settings.pop("env", None)
    return settings


def _variables(value: Any) -> list[str]:
    if isinstance(value, str):
        return [match[2] or match[3] for match in VARIABLE.finditer(value) if match[2] or match[3]]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for part in parts for name in _variables(part)]


def _files(own: Mapping[str, Any]) -> list[str]:
    files = [each.get("path") for each in own.get("transformers") or [] if isinstance(each, dict)]
    files.append(own.get("CUSTOM_ROUTER_PATH"))
    status_line = own.get("StatusLine")
    for style in status_line.values() if isinstance(status_line, dict) else ():
        modules = style.get("modules") if isinstance(style, dict) else None
        files.extend(each.get("scriptPath") for each in modules or [] if isinstance(each, dict))
    return [file for file in files if isinstance(file, str) and file]
