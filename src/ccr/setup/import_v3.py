"""The npm router's version 3 as a document of config.json: its database, and its settings in our spelling.

Its database (``config.sqlite``) holds one JSON document (table ``app_config``, row ``default``), keys of
clients (``api_keys``) and, under ``legacy_storage_backups``, the config.json of version 1 or 2 that it took
over. That file says more than what version 3 made of it (it dropped the Router), so it is the base. Source:
npm release 3.1.1, run and read.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ccr.config.parse import MalformedError, values_from_bytes
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_VALUE_BYTES: Final = 32 * 1024 * 1024
FAMILIES: Final = ("opusModel", "sonnetModel", "fableModel")
CARRIED: Final = (
    "Providers",
    "Router",
    "PORT",
    "HOST",
    "APIKEY",
    "APIKEYS",
    "API_TIMEOUT_MS",
    "CUSTOM_ROUTER_PATH",
)
OF_THE_APP: Final = (
    *(
        "agent",
        "autoStart",
        "launchAtLogin",
        "preferredProvider",
        "routerEndpoint",
        "theme",
        "gateway",
        "profile",
    ),
    *(
        "overviewWidgets",
        "trayComponentVariants",
        "trayIcon",
        "trayShowTokenRate",
        "trayProgressTargetTokens",
    ),
    *("trayWidgets", "trayWindowModules"),
)
"""Settings of its windows and of other programs: nothing is lost without them."""
CHAT: Final = "openai_chat_completions"
MESSAGES: Final = "anthropic_messages"
PATHS: Final = {CHAT: "/chat/completions", MESSAGES: "/v1/messages"}


@dataclass
class Imported:
    """document: of config.json. notes: what was changed. lost: what could not be carried, sentences."""

    document: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stored:
    """What the database holds. legacy: the config.json it took over, the newest one.

    keys: those of clients that can be read; encrypted_keys: how many cannot.
    """

    settings: dict[str, Any]
    keys: tuple[str, ...] = ()
    legacy: dict[str, Any] | None = None
    encrypted_keys: int = 0


def read_database(path: Path) -> Stored:
    """Return what the database holds; it is opened for reading alone. Raises StartError."""
    try:
        with contextlib.closing(_opened(path)) as database:
            row = database.execute("SELECT value_json FROM app_config WHERE key = 'default'").fetchone()
            settings = _object(row[0]) if row else None
            keys = _rows(
                database,
                "SELECT encrypted_key FROM api_keys WHERE encryption = 'plain' AND id NOT LIKE 'profile:%' "
                "ORDER BY rowid",
            )
            encrypted = _rows(
                database,
                "SELECT id FROM api_keys WHERE encryption <> 'plain' AND id NOT LIKE 'profile:%'",
            )
            legacy = _rows(
                database,
                "SELECT content FROM legacy_storage_backups WHERE source_kind = 'legacy-json-config' "
                "ORDER BY archived_at DESC",
            )
    except sqlite3.Error as error:
        raise StartError(f"{path} is no database of the npm router: {error}.") from error
    found = (_object(content) for content in legacy)
    return Stored(
        settings or {},
        tuple(key for key in keys if isinstance(key, str)),
        next((each for each in found if each and (each.get("Providers") or each.get("providers"))), None),
        len(encrypted),
    )


def imported_v3(stored: Stored) -> Imported:
    """Return config.json for what version 3 held. Raises StartError when there is nothing in it."""
    if not stored.settings and stored.legacy is None:
        raise StartError("The database holds no configuration.")
    result = Imported(dict(stored.legacy or {}))
    if stored.legacy is not None:
        result.notes.append("The config.json that version 3 had taken over is the base, with its Router.")
    earlier = {_name(each): each for each in _tables(result.document, "Providers", "providers")}
    result.document.pop("providers", None)
    result.document["Providers"] = []
    present = list(_tables(stored.settings, "Providers"))
    for entry in present or earlier.values():
        _add_provider(result, entry, earlier.pop(_name(entry), {}))
    if present:
        result.lost += [f"The provider {name} was removed in version 3; it was left out." for name in earlier]
    _add_settings(result, stored)
    _add_router(result, stored.settings)
    _tell_of_the_rest(result, stored)
    return result


def _opened(path: Path) -> sqlite3.Connection:
    """Open read-only; without its journal when the folder cannot be written (then nobody writes it now)."""
    if not path.is_file():
        raise StartError(f"There is no file {path}.")
    uri = path.absolute().as_uri()
    database = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5)
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database.close()
        database = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, timeout=5)
    return database


def _rows(database: sqlite3.Connection, query: str) -> list[Any]:
    """Return the first column; nothing where an older version has no such table."""
    try:
        return [row[0] for row in database.execute(query)]
    except sqlite3.OperationalError:
        return []


def _object(content: Any) -> dict[str, Any] | None:
    data = content if isinstance(content, bytes) else str(content).encode()
    try:
        values = values_from_bytes(data) if len(data) <= MAX_VALUE_BYTES else None
    except MalformedError:
        return None
    return dict(values) if isinstance(values, dict) else None


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name", "")).lower()


def _add_provider(result: Imported, entry: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    """Add a provider; earlier: what the older config.json had of it, for what version 3 does not know."""
    name = str(entry.get("name", ""))
    if entry.get("enabled") is False:
        result.lost.append(f"The provider {name} is switched off there; it was left out.")
        return
    capabilities = {str(each.get("type")): each for each in _tables(entry, "capabilities")}
    api = MESSAGES if MESSAGES in capabilities and CHAT not in capabilities else CHAT
    if capabilities and not {CHAT, MESSAGES} & capabilities.keys():
        result.lost.append(f"The provider {name} speaks {', '.join(capabilities)}, which ccr does not.")
        return
    base = _first(entry, "api_base_url", "baseUrl", "baseurl")
    chosen = capabilities.get(api, {})
    url = str(chosen.get("endpoint") or chosen.get("baseUrl") or base)
    whole = (
        url
        if url.rstrip("/").endswith(("/chat/completions", "/messages", "/invocations"))
        else _joined(url, api)
    )
    if whole != base:
        result.notes.append(f"The provider {name} got the whole URL {whole}.")
    pool = [each for each in _tables(entry, "credentials") if each.get("enabled") is not False]
    credentials = [_first(each, "api_key", "apiKey", "apikey") for each in (entry, *pool)]
    keys = list(dict.fromkeys(key for key in credentials if key))
    if len(keys) > 1:
        result.notes.append(f"The {len(keys)} keys of the provider {name} are taken in turn (api_keys).")
    provider = {
        "name": name,
        "api_base_url": whole,
        "api_key": keys[0] if keys else "",
        "api_keys": keys[1:],
        "models": entry.get("models", []),
    }
    if isinstance(entry.get("transformer"), dict):
        provider["transformer"] = entry["transformer"]
    provider = {**earlier, **{key: value for key, value in provider.items() if value}}
    unknown = [key for key in ("extraHeaders", "extraBody", "billing", "account") if entry.get(key)]
    if unknown:
        result.lost.append(f"{', '.join(unknown)} of the provider {name} are not known here.")
    result.document["Providers"] = [*result.document["Providers"], provider]


def _joined(url: str, api: str) -> str:
    base, path = url.rstrip("/"), PATHS[api]
    return base + (path.removeprefix("/v1") if base.endswith("/v1") and path.startswith("/v1") else path)


def _add_settings(result: Imported, stored: Stored) -> None:
    for key in ("PORT", "HOST", "API_TIMEOUT_MS", "CUSTOM_ROUTER_PATH"):
        value = stored.settings.get(key)
        if value not in (None, "") and key not in result.document:
            result.document[key] = value
    if not result.document.get("APIKEY") and stored.keys:
        result.document["APIKEY"] = stored.keys[0]
        result.notes.append("The first of its client keys is APIKEY.")
    if len(stored.keys) > 1:
        result.lost.append(f"{len(stored.keys) - 1} further client keys: ccr has one, APIKEY.")
    if stored.encrypted_keys:
        result.lost.append(f"{stored.encrypted_keys} client keys are encrypted: give those clients APIKEY.")


def _add_router(result: Imported, settings: Mapping[str, Any]) -> None:
    router = dict(result.document.get("Router") or {})
    profile = settings.get("profile")
    client = profile.get("claudeCode") if isinstance(profile, dict) else None
    client = client if isinstance(client, dict) else {}
    routes = {
        "default": client.get("model"),
        "background": client.get("smallFastModel") or client.get("haikuModel"),
    }
    for kind, written in routes.items():
        route = _route(written, result.document)
        if route and not router.get(kind):
            router[kind] = route
            result.notes.append(f"Router.{kind} is {route}, from its profile of Claude Code.")
    if not router.get("default"):
        first = next((each for each in _tables(result.document, "Providers") if each.get("models")), None)
        if first is not None:
            router["default"] = f"{first['name']},{first['models'][0]}"
            result.notes.append(f"Router.default is {router['default']}, the first model: it had no default.")
    written = settings.get("Router")
    theirs = written if isinstance(written, dict) else {}
    rules = [each for each in _tables(theirs, "rules") if each.get("enabled") is not False]
    if rules:
        names = ", ".join(str(each.get("name") or each.get("id")) for each in rules)
        result.lost.append(f"Its routing rules ({names}): write them as CUSTOM_ROUTER_PATH.")
    fallback = theirs.get("fallback")
    models = (
        fallback.get("models")
        if isinstance(fallback, dict) and fallback.get("mode") == "model-chain"
        else None
    )
    chain = list(dict.fromkeys(route for each in models or [] if (route := _route(each, result.document))))
    if chain and "fallback" not in result.document:
        result.document["fallback"] = {"default": chain}
        result.notes.append(f"fallback.default is {', '.join(chain)}.")
    if router:
        result.document["Router"] = router
    for family in FAMILIES:
        if client.get(family):
            result.lost.append(f"{family} {client[family]}: ccr finds the model of a family by its name.")


def _route(written: Any, document: Mapping[str, Any]) -> str | None:
    """Return ``provider,model`` for version 3's ``provider/model``, None when there is no such model."""
    text = str(written or "").strip().lower()
    for provider in _tables(document, "Providers", "providers"):
        for model in provider.get("models") or []:
            if text in (f"{provider.get('name')}/{model}".lower(), f"{provider.get('name')},{model}".lower()):
                return f"{provider.get('name')},{model}"
    return None


def _tell_of_the_rest(result: Imported, stored: Stored) -> None:
    known = (*CARRIED, *OF_THE_APP)
    for key, value in stored.settings.items():
        is_used = (
            bool(value.get("enabled")) if isinstance(value, dict) and "enabled" in value else bool(value)
        )
        if isinstance(value, dict) and "enabled" not in value:
            is_used = any(entry not in (False, None, "", [], {}) for entry in value.values())
        if key not in known and is_used and key != "observability":
            result.lost.append(f"{key} is not known here.")


def _first(values: Mapping[str, Any], *names: str) -> str:
    return next((str(values[name]) for name in names if values.get(name)), "")


def _tables(values: Mapping[str, Any], *keys: str) -> Iterator[dict[str, Any]]:
    entries: Any = next((values[key] for key in keys if values.get(key)), [])
    return (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def text_of(document: Mapping[str, Any]) -> bytes:
    """Return a document as a file."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
