"""Settings of Claude Code that go with ``--settings``: the status line, and those of a preset. Pure.

No file of the person's is written for them. Whoever passes ``--settings`` has the say: ours are left out.
Others see the arguments of a process, so settings that may hold a secret go as a file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.config.model import Config

OPTION: Final = "--settings"


def settings_of(config: Config, preset: str | None = None) -> dict[str, Any]:
    """Return the settings that a configuration asks for; empty when it asks for none."""
    if not (config.status_line or {}).get("enabled"):
        return {}
    command = f"ccr statusline {preset}" if preset else "ccr statusline"
    return {"statusLine": {"type": "command", "command": command, "padding": 0}}


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON, "" for none."""
    return json.dumps(settings) if settings else ""


def with_settings(arguments: Sequence[str], settings: str) -> list[str]:
    """Return claude's arguments with the settings (JSON or a file) before them, unless they hold some."""
    is_given = any(each == OPTION or each.startswith(f"{OPTION}=") for each in arguments)
    if not settings or is_given:
        return list(arguments)
    return [OPTION, settings, *arguments]
