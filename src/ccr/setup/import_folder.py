"""A configuration of another installation, made usable here: what it must lose is named, the rest stays.

Nothing is written here, files are only looked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccr.config.address import is_loopback
from ccr.config.interpolate import Interpolation
from ccr.config.load import REMOTE_KEY_CHARACTERS
from ccr.config.model import Step
from ccr.config.router import SCENARIOS
from ccr.config.transformer_files import is_databricks_custom
from ccr.setup.import_problems import drop_providers, drop_values
from ccr.setup.route_choice import providers_in
from ccr.transformers.registry import NOT_YET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.setup.import_v3 import Imported

KINDS: Final = ("default", *SCENARIOS)
KEY_NEEDED: Final = f"an APIKEY of at least {REMOTE_KEY_CHARACTERS} characters"
ALLOWED: Final = '"ALLOW_REMOTE": true'
FILES: Final = {"CUSTOM_ROUTER_PATH": "custom router", "REWRITE_SYSTEM_PROMPT": "system prompt"}


def make_usable(
    imported: Imported, file: Path, check_step: Callable[[Step], object], environ: Mapping[str, str]
) -> None:
    """Take out of ``imported.document`` what would stop the start, and note it.

    file: what is imported; relative paths start beside it. check_step: raises ValueError on
    a step that cannot be built; of steps that files of the person's may define only the form is checked.
    """
    _find_files(imported, file.absolute().parent, environ)
    files = imported.document.get("transformers") or []
    has_files = any(not is_databricks_custom(each["path"]) for each in files)
    for key in ("Providers", "providers"):
        entries = imported.document.get(key)
        if isinstance(entries, list):
            spoken = [entry for entry in entries if _is_spoken(imported, entry)]
            imported.document[key] = [
                _with_known_steps(imported, entry, None if has_files else check_step) for entry in spoken
            ]
    _close(imported)
    drop_providers(imported, environ, file)
    _drop_dead_routes(imported, providers_in(imported.document))
    drop_values(imported, environ, file)


def _find_files(imported: Imported, folder: Path, environ: Mapping[str, str]) -> None:
    """Make relative paths whole, and take out files that are not there."""
    document = imported.document
    files = document.get("transformers")
    if isinstance(files, list):
        found = [
            {**each, "path": _whole(each.get("path"), folder)} for each in files if isinstance(each, dict)
        ]
        there = [
            each
            for each in found
            if _is_there(each["path"], folder, environ) or is_databricks_custom(each["path"])
        ]
        imported.lost += [
            f"The transformer file {each['path']} is not there." for each in found if each not in there
        ]
        document["transformers"] = there
    for key, what in FILES.items():
        if document.get(key):
            path = _whole(document[key], folder)
            if _is_there(path, folder, environ):
                document[key] = path
            else:
                del document[key]
                imported.lost.append(f"The {what} {path} is not there.")


def _is_there(path: str, folder: Path, environ: Mapping[str, str]) -> bool:
    """Tell whether a file is there, with the variables in its name replaced as in a configuration."""
    written = Interpolation(environ).walk(path)
    return (folder / Path(written).expanduser()).is_file()


def _whole(path: object, folder: Path) -> str:
    text = str(path or "")
    return text if text.startswith(("~", "$")) or Path(text).is_absolute() else str(folder / text)


def _is_spoken(imported: Imported, entry: Any) -> bool:
    """Tell whether ccr speaks what a provider speaks; without the step for it, requests would be wrong."""
    chains = entry.get("transformer") if isinstance(entry, dict) else None
    lists = [
        chain.get("use") if isinstance(chain, dict) else chain
        for chain in (chains.values() if isinstance(chains, dict) else ())
    ]
    steps = [step for chain in lists if isinstance(chain, list) for step in chain]
    missing = next((step for step in map(_name_of_step, steps) if step in NOT_YET), None)
    if missing is not None:
        imported.lost.append(
            f"The provider {entry.get('name')} was left out: it needs the transformer {missing}, which is "
            f"not there yet. In its place: {NOT_YET[missing]}."
        )
    return missing is None


def _name_of_step(step: Any) -> str:
    name = step[0] if isinstance(step, list) and step else step
    return name if isinstance(name, str) else ""


def _with_known_steps(imported: Imported, entry: Any, check_step: Callable[[Step], object] | None) -> Any:
    chains = entry.get("transformer") if isinstance(entry, dict) else None
    if not isinstance(chains, dict):
        return entry

    def is_known(step: Any) -> bool:
        fault = _fault_of_step(step, check_step)
        if fault:
            imported.lost.append(f"A transformer of {entry.get('name')} was left out: {fault}.")
        return not fault

    usable: dict[str, Any] = {}
    for key, chain in chains.items():
        steps = chain if key == "use" else chain.get("use") if isinstance(chain, dict) else None
        if not isinstance(steps, list):
            imported.lost.append(f"transformer.{key} of {entry.get('name')} has a form that is not known.")
            continue
        kept = [step for step in steps if is_known(step)]
        usable[key] = kept if key == "use" else {**chain, "use": kept}
    return {**entry, "transformer": usable}


def _fault_of_step(step: Any, check_step: Callable[[Step], object] | None) -> str | None:
    parts = step if isinstance(step, list) and 1 <= len(step) <= 2 else [step]
    name, options = parts[0], parts[1] if len(parts) == 2 else {}
    if not isinstance(name, str) or not isinstance(options, dict):
        return 'it is neither a name nor ["name", {options}]'
    try:
        if check_step is not None:
            check_step(Step(name=name, options=options))
    except ValueError as error:
        return f"{name}: {error}"
    return None


def _drop_dead_routes(imported: Imported, providers: list[dict[str, Any]]) -> None:
    routes = {f"{each['name']},{model}".lower() for each in providers for model in each["models"]}

    def alive(value: Any) -> bool:
        if "$" in str(value):
            return True  # nobody knows yet
        return ",".join(part.strip() for part in str(value).split(",", 1)).lower() in routes

    router = dict(imported.document.get("Router") or {})
    for kind in KINDS:
        value = router.get(kind)
        if value and not isinstance(value, list) and not alive(value):
            del router[kind]
            imported.lost.append(f"Router.{kind} leads to {value}, which is not configured; it was left out.")
    if not router.get("default") and providers:
        router["default"] = f"{providers[0]['name']},{providers[0]['models'][0]}"
        imported.notes.append(f"Router.default is {router['default']}, the first model.")
    imported.document["Router"] = router
    fallback = imported.document.get("fallback")
    if isinstance(fallback, dict):
        chains = {kind: [each for each in chain if alive(each)] for kind, chain in fallback.items() if chain}
        if chains != {kind: chain for kind, chain in fallback.items() if chain}:
            imported.lost.append("fallback lost routes that lead to models that are not configured.")
        imported.document["fallback"] = chains


def _close(imported: Imported) -> None:
    """Listen on this machine alone where no sufficient key keeps others out."""
    host, key = str(imported.document.get("HOST") or ""), str(imported.document.get("APIKEY") or "")
    if not host or is_loopback(host) or imported.document.get("ALLOW_REMOTE"):
        return
    imported.document["HOST"] = "127.0.0.1"
    needed = [] if len(key) >= REMOTE_KEY_CHARACTERS or key.startswith("$") else [KEY_NEEDED]
    imported.notes.append(f"HOST was {host}; other machines need {' and '.join([*needed, ALLOWED])}.")


def beside(folder: Path) -> list[str]:
    """Return what lies beside the configuration and is not carried, as sentences."""
    found = []
    presets = sorted(folder.glob("presets/*/manifest.json"))
    if presets:
        names = ", ".join(path.parent.name for path in presets)
        found.append(f"Presets ({names}): `ccr preset install {folder / 'presets'}/NAME` takes them over.")
    projects = sorted(path.parent.name for path in folder.glob("-*/config.json"))
    if projects:
        found.append(
            f"Routers of projects: copy the folders {', '.join(projects)} if they are to count here."
        )
    return found


def unset_variables(document: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Return the variables that the configuration names and that are not set here."""
    from ccr.config.interpolate import Interpolation

    interpolation = Interpolation(environ)
    interpolation.walk(document)
    return sorted({name for names in interpolation.unset.values() for name in names})
