"""What ``ccr status`` prints, without a command line parser: that would be a third of its time."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon.control import known_key
from ccr.daemon.health import ask_status
from ccr.daemon.identity import find_service
from ccr.errors import ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Config
    from ccr.daemon.identity import Found

NOT_RUNNING = 3
SENTENCES = {
    "running": "ccr is running",
    "other_key": "ccr is running, with another key than the configuration has now: run `ccr restart`",
    "unresponsive": "ccr does not answer: it is starting, finishing requests, or hanging",
    "unknown": "ccr is starting",
    "stopped": "ccr is not running: `ccr start` starts it, `ccr code` as well",
}


def print_status(environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print the status of the service; return the exit code: 0 running, 3 not.

    Raises CcrError and OSError.
    """
    text, trouble, is_running = _report(environ, as_json=as_json)
    for stream, said in ((sys.stdout, text), (sys.stderr, trouble)):
        if said:
            encoding = stream.encoding or "utf-8"
            print(said.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
    return 0 if is_running else NOT_RUNNING


def _report(environ: Mapping[str, str], *, as_json: bool) -> tuple[str, str, bool]:
    """Return what stdout and stderr get, and whether the service runs."""
    values = status_values(environ)
    if as_json:
        return json.dumps(values, indent=2), "", values["running"]
    trouble = values["config_error"]
    return "\n".join(_lines(values)), f"\n{trouble}" if trouble else "", values["running"]


def status_values(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``--json`` prints. Raises CcrError and OSError."""
    paths = Paths.from_environ(environ)
    config: Config | None = None
    trouble = ""
    try:
        config = load_config(paths, environ)
    except ConfigError as error:
        trouble = f"The configuration has problems:\n{error}"
    except StartError as error:
        trouble = str(error).partition("\n")[0]
    key = known_key(paths, environ)
    found = find_service(paths, key)
    values = {**_service(found), **_configuration(paths, config), "counts": {}}
    if found.condition == "running" and found.state is not None and key is not None:
        values["counts"] = ask_status(found.state.address, key)
        values["config_changed"] = bool(reloaded(values["counts"]))
    return {**values, "config_error": trouble or None}


def _service(found: Found) -> dict[str, Any]:
    values: dict[str, Any] = {
        "running": found.condition in ("running", "other_key"),
        "condition": found.condition,
        "address": None,
        "pid": None,
        "uptime_s": None,
        "version": None,
    }
    if found.state is not None:
        values["address"] = found.state.address
        values["pid"] = found.state.pid
        values["uptime_s"] = max(0, round(time.time() - found.state.started_at))
        values["version"] = found.state.version
    return values


def _configuration(paths: Paths, config: Config | None) -> dict[str, Any]:
    values: dict[str, Any] = {"config_file": str(paths.config_file), "providers": []}
    values |= {"routes": {}, "fallbacks": {}}
    if config is not None:
        values["providers"] = [
            {"name": provider.name, "url": provider.url.partition("?")[0], "models": list(provider.models)}
            for provider in config.providers
        ]
        router = config.router
        values["routes"] = {"default": router.default, **router.scenarios}
        values["fallbacks"] = {rule: list(routes) for rule, routes in router.alternatives.items() if routes}
        if "longContext" in router.scenarios:
            values["long_context_threshold"] = router.long_context_threshold
    return values


def _lines(values: dict[str, Any]) -> list[str]:
    lines = [SENTENCES[values["condition"]]]
    if values["pid"] is not None:
        uptime = duration(values["uptime_s"])
        lines.append(f"  address   {values['address']}")
        lines.append(f"  process   {values['pid']}, up {uptime}, version {values['version']}")
    lines.append(f"  config    {values['config_file']}")
    lines += [f"  provider  {each['name']}: {', '.join(each['models'])}" for each in values["providers"]]
    lines += [f"  route     {_route(rule, route, values)}" for rule, route in values["routes"].items()]
    lines += served_beside(values["counts"])
    lines += identified(values["counts"])
    lines += counted(values["counts"])
    lines += not_kept(values["counts"])
    return lines + reloaded(values["counts"])


def _route(rule: str, route: str | None, values: dict[str, Any]) -> str:
    """Return one rule of Router, with what is tried when its route fails."""
    threshold = values.get("long_context_threshold")
    above = f" (above {threshold} tokens)" if rule == "longContext" and threshold else ""
    others = values["fallbacks"].get(rule, ())
    return f"{rule}{above} -> {route}" + (f", then {', '.join(others)}" if others else "")


def served_beside(counts: dict[str, Any]) -> list[str]:
    """Return lines for the routes of plugins' own."""
    end_points = (counts.get("configuration") or {}).get("end_points") or {}
    return [f"  endPoint  POST {path} ({name})" for path, name in end_points.items()]


def identified(counts: dict[str, Any]) -> list[str]:
    """Return lines for the identities of the providers that sign in, with what is wrong with them."""
    lines = []
    for provider, identity in (counts.get("identities") or {}).items():
        who = identity.get("client_id") or identity.get("profile") or identity.get("host")
        words = [identity.get("method", ""), *([f"for {who}"] if who else []), f"({identity.get('source')})"]
        lines.append(f"  identity  {provider}: {' '.join(words)}, token ends: {identity.get('expires_at')}")
        if identity.get("problem"):
            lines.append(f"            no new token: {identity['problem']}")
    return lines


def counted(counts: dict[str, Any]) -> list[str]:
    """Return lines for the requests so far, and for the repairs some of them needed."""
    requests = counts.get("requests") or {}
    lines = []
    if requests:
        lines.append("  requests  " + ", ".join(f"{count} {word}" for word, count in requests.items()))
    for model, rules in (counts.get("repairs") or {}).items():
        for rule, whats in rules.items():
            named = ", ".join(f"{what} ({count})" if what else str(count) for what, count in whats.items())
            lines.append(f"  repaired  {model}: {rule}: {named}")
    return lines


def not_kept(counts: dict[str, Any]) -> list[str]:
    """Return a line where finished requests cannot be recorded."""
    kept = (counts.get("process") or {}).get("usage") or {}
    return [f"Requests are not recorded for `ccr usage`: {kept['problem']}"] if kept.get("problem") else []


def reloaded(counts: dict[str, Any]) -> list[str]:
    """Return lines on edits of config.json that the running service has not taken over."""
    configuration = counts.get("configuration") or {}
    lines = []
    if configuration.get("problems"):
        lines.append("The edited configuration has problems; the service goes on with the last good one:")
        lines += [f"  {problem}" for problem in configuration["problems"]]
    if configuration.get("restart_needed_for"):
        keys = " and ".join(configuration["restart_needed_for"])
        lines.append(f"{keys} changed: `ccr restart` makes it count.")
    return lines


def duration(seconds: int) -> str:
    """Return a duration with its two largest units."""
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])
