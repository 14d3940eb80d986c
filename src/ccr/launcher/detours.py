"""Settings of Claude Code that lead it past ccr, whatever its environment says. They are read, never written.

The client takes ``env`` of its settings files for more than its environment (observed with 2.1.330). A base
URL there, as instructions for a direct connection have people write it, would bypass ccr without a word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.config.address import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE_URL: Final = "ANTHROPIC_BASE_URL"
OTHER_SERVICES: Final = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
OFF: Final = ("", "0", "false", "no", "off")
MANAGED: Final = (
    "/etc/claude-code/managed-settings.json",
    "/Library/Application Support/ClaudeCode/managed-settings.json",
)


def detours(environ: Mapping[str, str], folder: Path, base_url: str) -> list[str]:
    """Return a sentence for each setting that leads a client started in ``folder`` past ``base_url``."""
    return [
        f"{file} sets {name} in `env`, which counts for more than what ccr sets: Claude Code will not work "
        "through ccr. Take it out there."
        for file in _files(environ, folder)
        for name in _names(_env_of(file), base_url)
    ]


def _files(environ: Mapping[str, str], folder: Path) -> Iterator[Path]:
    own = environ.get("CLAUDE_CONFIG_DIR", "").strip()
    if own or environ.get("HOME"):
        yield (Path(own) if own else Path(environ["HOME"]) / ".claude") / "settings.json"
    yield folder / ".claude" / "settings.json"
    yield folder / ".claude" / "settings.local.json"
    yield from map(Path, MANAGED)


def _env_of(file: Path) -> Mapping[str, Any]:
    """Return ``env`` of a settings file; nothing where there is none, or none that the client could read."""
    try:
        settings = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    env = settings.get("env") if isinstance(settings, dict) else None
    return env if isinstance(env, dict) else {}


def _names(env: Mapping[str, Any], base_url: str) -> list[str]:
    names = [name for name in OTHER_SERVICES if str(env.get(name) or "").strip().lower() not in OFF]
    written = str(env.get(BASE_URL) or "").strip()
    return [BASE_URL, *names] if written and not _is_same(written, base_url) else names


def _is_same(written: str, base_url: str) -> bool:
    """Tell whether two URLs lead to the same port of this machine, or are the same."""
    try:
        one, other = urlsplit(written), urlsplit(base_url)
        if one.port != other.port:
            return False
    except ValueError:
        return False
    hosts = (one.hostname or "", other.hostname or "")
    return hosts[0] == hosts[1] or all(map(is_loopback, hosts))
