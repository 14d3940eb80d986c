"""Claude Code's settings file with ccr's keys in it, and without them again. Pure.

Three things are ours: ``env.ANTHROPIC_BASE_URL``, ``apiKeyHelper`` (a command that prints the local key, so
that the key itself is never in the file), and on request one SessionStart hook. Everything else is the
person's.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from ccr.errors import StartError
from ccr.protocol.redaction import redacted

BASE_URL: Final = "ANTHROPIC_BASE_URL"
HELPER: Final = "apiKeyHelper"
RIVALS: Final = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
"""What the client sends in place of the helper's key when it is set."""
SECRET_LINE: Final = re.compile(
    r'("(?!apiKeyHelper")[^"]*(?:token|key|secret|passw|authorization|headers)[^"]*"\s*:\s*")[^"]*',
    re.IGNORECASE,
)
INDENT: Final = re.compile(r"^\{\s*\n([ \t]+)\"")


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What ccr puts into a settings file. hook: None when no hook was asked for."""

    base_url: str
    helper: str
    hook: str | None = None


class Before(msgspec.Struct, frozen=True):
    """What stood there: the values that ours replaced, None where there was none."""

    base_url: Any = None
    helper: Any = None


def settings_from(data: bytes | None, name: str) -> dict[str, Any]:
    """Return the settings in a file, {} without one. Raises StartError: the unreadable is not touched."""
    if data is None or not data.strip():
        return {}
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StartError(f"{name} is not JSON, so it is left alone; mend it first.") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("env", {}), dict):
        raise StartError(f"{name} does not hold settings (an object, `env` an object); it is left alone.")
    return settings


def settings_with(settings: dict[str, Any], ours: Ours) -> dict[str, Any]:
    """Return the settings with ours in them; where a key of ours stands, its place is kept."""
    changed = dict(settings)
    changed["env"] = {**settings.get("env", {}), BASE_URL: ours.base_url}
    changed[HELPER] = ours.helper
    if ours.hook is not None and ours.hook not in _commands(settings):
        entry = {"hooks": [{"type": "command", "command": ours.hook}]}
        hooks = settings.get("hooks") if isinstance(settings.get("hooks"), dict) else {}
        starts = (hooks or {}).get("SessionStart")
        present = starts if isinstance(starts, list) else []
        changed["hooks"] = {**(hooks or {}), "SessionStart": [*present, entry]}
    return changed


def before_of(settings: dict[str, Any]) -> Before:
    """Return the values that `settings_with` would replace."""
    return Before(settings.get("env", {}).get(BASE_URL), settings.get(HELPER))


def settings_without(
    settings: dict[str, Any], ours: Ours, before: Before
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings without ours, and a sentence for each key that somebody else has changed since.

    What ours replaced comes back; objects and lists that are empty then go.
    """
    changed, kept = dict(settings), []
    env = dict(settings.get("env", {}))
    if BASE_URL in env and env[BASE_URL] != ours.base_url:
        kept.append(f"env.{BASE_URL} was changed since and stays")
    elif BASE_URL in env:
        changed["env"] = _replaced(env, BASE_URL, before.base_url)
        if not changed["env"]:
            del changed["env"]
    if HELPER in settings and settings[HELPER] != ours.helper:
        kept.append(f"{HELPER} was changed since and stays")
    elif HELPER in settings:
        changed = _replaced(changed, HELPER, before.helper)
    if ours.hook is not None and ours.hook in _commands(settings):
        changed = _without_hook(changed, ours.hook)
    return changed, kept


def bytes_from_settings(settings: dict[str, Any], like: bytes | None) -> bytes:
    """Return a file's content, indented and ended as ``like`` is."""
    text = (like or b'{\n  "').decode("utf-8", "replace")
    found = INDENT.match(text)
    indent: str | int = found[1] if found else 2
    ending = "\n" if like is None or text.endswith("\n") else ""
    return (json.dumps(settings, indent=indent, ensure_ascii=False) + ending).encode()


def rivals_in(settings: dict[str, Any]) -> list[str]:
    """Return the variables in the settings that the client would use in place of the helper's key."""
    return [name for name in RIVALS if settings.get("env", {}).get(name)]


def shown_settings(data: bytes | None) -> str:
    """Return a file's content for the person; what looks like a secret is masked."""
    return redacted(SECRET_LINE.sub(r"\1***", (data or b"").decode("utf-8", "replace")))


def _replaced(table: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {name: entry for name, entry in table.items() if name != key}
    return {**table, key: value}


def _commands(settings: dict[str, Any]) -> list[Any]:
    """Return the commands of all SessionStart hooks."""
    hooks = settings.get("hooks")
    starts = hooks.get("SessionStart") if isinstance(hooks, dict) else None
    groups = [group for group in starts if isinstance(group, dict)] if isinstance(starts, list) else []
    entries = [entry for group in groups for entry in group.get("hooks", []) if isinstance(entry, dict)]
    return [entry.get("command") for entry in entries]


def _without_hook(settings: dict[str, Any], command: str) -> dict[str, Any]:
    starts = []
    for group in settings["hooks"]["SessionStart"]:
        if not isinstance(group, dict) or command not in [
            entry.get("command") for entry in group.get("hooks", []) if isinstance(entry, dict)
        ]:
            starts.append(group)
            continue
        others = [entry for entry in group["hooks"] if entry != {"type": "command", "command": command}]
        if others:
            starts.append({**group, "hooks": others})
    hooks = {name: entry for name, entry in settings["hooks"].items() if name != "SessionStart"}
    if starts:
        hooks["SessionStart"] = starts
    return _replaced(settings, "hooks", hooks or None)
