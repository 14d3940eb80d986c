"""config.json for the page: what stands there, masked, and one change at a time, written as `ccr model` does.

A change is made on the bytes the page has seen (their digest comes with it), checked as a whole, and written
with a backup; comments, order and everything else stay. Nothing is written that has a problem.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ccr.config.load import load_config
from ccr.config.parse import MalformedError
from ccr.config.router import THRESHOLD
from ccr.config.show import values_from_config
from ccr.daemon.control import ask_to_reload, known_key
from ccr.errors import ConfigError, RequestError, StartError
from ccr.setup.config_change import Written, planned, read_written, shown_config, write_planned
from ccr.setup.document import IDENTITY_KEYS, OPEN_VALUE, masked
from ccr.setup.plan import content_of
from ccr.setup.route_choice import KINDS, choices_in, providers_in
from ccr.transformers.registry import build
from ccr.ui.edits import LEVELS, edited
from ccr.upstream.discovered import read_discovered, workspace_of
from ccr.upstream.identities import identities_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Config
    from ccr.config.paths import Paths
    from ccr.errors import Problem
    from ccr.setup.route_choice import Choice

CHANGED: str = (
    "config.json was changed meanwhile; nothing was written. The page shows it as it is now: look again"
)


def configuration(paths: Paths, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows; secrets are masked. Raises OSError, StartError when it cannot be read."""
    data = content_of(paths.config_file)
    values: dict[str, Any] = {
        "path": str(paths.config_file),
        "exists": data is not None,
        "version": version_of(data),
        "levels": list(LEVELS),
        **_verdict(paths, environ),
    }
    try:
        written = read_written(paths.config_file)
        values["text"] = shown_config(written.data or b"")
    except (ConfigError, MalformedError, StartError):
        return values | {"text": None}  # the verdict says why
    choices = _choices(written, values.pop("config"), paths)
    return values | _written_values(written.document) | {"choices": [_choice(each) for each in choices]}


def change_configuration(
    paths: Paths, environ: Mapping[str, str], version: str, change: Mapping[str, Any]
) -> dict[str, Any]:
    """Make one change and have a running service read it; return what was done.

    version: of what the page shows. Raises RequestError (409: the file is another one by now), StartError,
    ConfigError with every problem of the result; then nothing was written.
    """
    written = read_written(paths.config_file)
    if version != version_of(written.data):
        raise RequestError(CHANGED, status=409)
    try:
        config = load_config(paths, environ)
    except ConfigError:
        config = None  # a broken configuration may be mended here
    document = edited(written.document, change, _choices(written, config, paths))
    planned_change, config = planned(written, document, environ, check_step=build)
    if not planned_change.is_needed:
        return {"written": False, "warnings": []}
    backup = write_planned(planned_change)
    try:
        is_reloaded = ask_to_reload(paths, known_key(paths, environ))
    except (StartError, OSError):
        is_reloaded = False  # it looks by itself once a second
    return {
        "written": True,
        "backup": backup.name if backup else None,
        "reloaded": is_reloaded,
        "warnings": list(config.warnings),
    }


def problem_values(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
    """Return problems as `ccr config check` shows them."""
    return [{"key": each.key, "sentence": str(each)} for each in problems]


def version_of(data: bytes | None) -> str:
    """Return what tells whether a file is as it was; "" without one."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _verdict(paths: Paths, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what a check finds, and the configuration itself under ``config``."""
    verdict: dict[str, Any] = {"config": None, "problems": [], "warnings": [], "notes": [], "effective": None}
    try:
        config = load_config(paths, environ, check_step=build)
        verdict |= {"config": config, "warnings": config.warnings, "notes": config.notes}
        verdict["effective"] = values_from_config(config)
        identities_of(config, environ)
    except ConfigError as error:
        verdict |= {"problems": problem_values(error.problems)}
        verdict["warnings"] = [*verdict["warnings"], *error.warnings]
    except StartError as error:
        verdict |= {"problems": [{"key": "", "sentence": str(error).partition("\n")[0]}]}
    return verdict


def _choices(written: Written, config: Config | None, paths: Paths) -> list[Choice]:
    remembered = read_discovered(paths) if config is not None else {}
    served = {}
    for provider in config.providers if config is not None else ():
        found = remembered.get(workspace_of(provider) or "")
        served[provider.name] = [each.name for each in found.models if each.is_chat] if found else []
    return choices_in(written.document, served)


def _choice(choice: Choice) -> dict[str, Any]:
    return {"route": choice.route, "provider": choice.provider, "configured": choice.is_configured}


def _written_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the document, for the parts of the page that change it."""
    router = document.get("Router")
    router = router if isinstance(router, dict) else {}
    return {
        "providers": [_provider(each) for each in providers_in(document)],
        "routes": [{"kind": kind, "routes": _routes(router.get(kind))} for kind in KINDS],
        "threshold": router.get(THRESHOLD),
        "log_level": document.get("LOG_LEVEL"),
        "image_agent": document.get("forceUseImageAgent") is True,
    }


def _routes(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each]


def _provider(entry: Mapping[str, Any]) -> dict[str, Any]:
    models = entry.get("models")
    transformer = entry.get("transformer")
    uses = transformer.get("use") if isinstance(transformer, dict) else None
    url = entry.get("api_base_url") or entry.get("host")
    return {
        "name": str(entry.get("name", "")),
        "url": masked(str(url).partition("?")[0].rpartition("@")[2]) if url else "",
        "models": [str(each) for each in models] if isinstance(models, list) else [],
        "key": _key(entry),
        "transformers": [str(each[0] if isinstance(each, list) and each else each) for each in uses or ()],
    }


def _key(entry: Mapping[str, Any]) -> str:
    """Return how a provider gets its key, without the key."""
    key = entry.get("api_key")
    if isinstance(key, str) and key:
        return key if OPEN_VALUE.fullmatch(key) else "written in the file, not shown"
    named = [name for name in IDENTITY_KEYS if entry.get(name)]
    return f"signs in by {', '.join(named)}" if named else "none"
