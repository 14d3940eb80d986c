"""The environment ``claude`` is started with: pure, one table, every variable with its reason.

Three kinds: what must be ours (base URL, token), what must go (it would lead the client past us), and
defaults, which give way to whatever the person has set. Source: the client reference §5; docs/commands.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Secret

REMOVED = (
    "ANTHROPIC_API_KEY",  # asks "use this key?" and is sent next to our token
    # each sends the client to a cloud of its own, whatever the base URL says (client 2.1.330, tried)
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
)
FAMILY_VARIABLES = {
    "opus": "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "sonnet": "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "haiku": "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "fable": "ANTHROPIC_DEFAULT_FABLE_MODEL",
}
"""The client's variable for each of its model aliases."""
NON_INTERACTIVE = {"CI": "true", "FORCE_COLOR": "0", "NODE_NO_READLINE": "1", "TERM": "dumb"}
"""With ``NON_INTERACTIVE_MODE``, as with the npm router."""
LARGE_CONTEXT_TOKENS = 1_000_000
CLIENT_IDLE_MS = 300_000
OURS = "CCR_ENV"
"""Remembers which defaults an earlier ``ccr env`` set, so that they are not taken for the person's own."""


@dataclass(frozen=True)
class Target:
    """What the client is to talk to.

    model: the default route's, which the client picks its request dialect by. family_models: by alias of
    the client, the model to ask for; ``model`` where an alias is missing. context_tokens: the smallest
    window of those that the client may take for a million, None when unknown. small_fast_model: for the
    client's background work. is_interactive: False in scripts. settings: handed over with
    ``--settings``, as JSON or the name of a file; "": none.
    """

    base_url: str
    key: Secret
    model: str | None = None
    family_models: Mapping[str, str] = field(default_factory=dict)
    context_tokens: int | None = None
    api_timeout_s: float = 600.0
    small_fast_model: str | None = None
    is_interactive: bool = True
    settings: str = ""


@dataclass(frozen=True)
class Changes:
    """What an environment needs: variables to set (in order) and variables to remove."""

    values: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


def claude_environment(environ: Mapping[str, str], target: Target) -> dict[str, str]:
    """Return the whole environment for ``claude``; ``environ`` stays as it is."""
    changes = claude_changes(environ, target)
    kept = {name: value for name, value in environ.items() if name not in changes.removed}
    return {**kept, **changes.values, **({} if target.is_interactive else NON_INTERACTIVE)}


def claude_changes(environ: Mapping[str, str], target: Target) -> Changes:
    """Return what has to change in ``environ`` for ``claude`` to work through ``target``."""
    ours = _set_by_us(environ)
    defaults = {
        name: value
        for name, value in _defaults(target).items()
        if not environ.get(name) or environ[name] == ours.get(name)
    }
    values = {
        "ANTHROPIC_BASE_URL": target.base_url,
        "ANTHROPIC_AUTH_TOKEN": target.key.reveal(),
        **defaults,
        **_no_proxy(environ, urlsplit(target.base_url).hostname or "127.0.0.1"),
        OURS: json.dumps(defaults, separators=(",", ":")),
    }
    stale = [name for name, value in ours.items() if name not in defaults and environ.get(name) == value]
    removed = [name for name in REMOVED if name in environ]
    return Changes(values, (*removed, *stale))


def _defaults(target: Target) -> dict[str, str]:
    timeout_ms = round(target.api_timeout_s * 1000)
    defaults = {
        "API_TIMEOUT_MS": str(timeout_ms),
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": str(max(timeout_ms, CLIENT_IDLE_MS)),
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "true",
        "DISABLE_COST_WARNINGS": "true",
    }
    if target.model is not None:
        defaults["ANTHROPIC_MODEL"] = target.model
        for family, variable in FAMILY_VARIABLES.items():
            defaults[variable] = target.family_models.get(family, target.model)
    if target.small_fast_model is not None:
        defaults["ANTHROPIC_SMALL_FAST_MODEL"] = target.small_fast_model
        defaults[FAMILY_VARIABLES["haiku"]] = target.small_fast_model
    if (target.context_tokens or 0) < LARGE_CONTEXT_TOKENS:
        defaults["CLAUDE_CODE_DISABLE_1M_CONTEXT"] = "1"
    return defaults


def _no_proxy(environ: Mapping[str, str], host: str) -> dict[str, str]:
    """Return both spellings of NO_PROXY, with the service's host and the loopback names in them."""
    wanted = dict.fromkeys((host, "127.0.0.1", "localhost"))
    values = {}
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        written = environ.get(name) or environ.get(other) or ""
        hosts = [part.strip() for part in written.split(",") if part.strip()]
        values[name] = ",".join([*hosts, *(each for each in wanted if each not in hosts)])
    return values


def _set_by_us(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        values = json.loads(environ.get(OURS, "{}"))
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
