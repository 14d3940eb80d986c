"""config.json as a document: the entry of a workspace, put into what stands there already. Pure.

Works on what is written in the file (``$VAR`` stays ``$VAR``), unlike ccr.config, which reads what it means.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit

from ccr.config.edit import name_within
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Api = Literal["chat", "anthropic"]

SECRET_KEY: Final = re.compile(r"key|token|secret|passw|proxy|authorization|^headers$", re.IGNORECASE)
OPEN_VALUE: Final = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|auto|none|")
IDENTITY_KEYS: Final = ("api_key", "host", "profile", "client_id", "client_secret", "auth_type")


@dataclass(frozen=True)
class Entry:
    """What set-up decides about one provider.

    url: the workspace's. models: the endpoints, the default one first. identity: the keys that say who calls
    (``{"api_key": "$DATABRICKS_TOKEN"}``). api: which of the workspace's two dialects is spoken.
    """

    name: str
    url: str
    models: Sequence[str]
    identity: Mapping[str, str] = field(default_factory=dict)
    api: Api = "chat"

    @property
    def base_url(self) -> str:
        """The provider's ``api_base_url``."""
        if self.api == "anthropic":
            return f"{self.url}/serving-endpoints/anthropic/v1/messages"
        return f"{self.url}/serving-endpoints/{quote(self.models[0], safe='')}/invocations"


def document_with(written: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return the document with ``entry`` as a provider and its first model as the default route.

    A provider of that name is replaced, but keeps what set-up does not decide (its transformers). A default
    route that leads to one of the entry's models stays; everything else in the document stays.
    """
    document = dict(written)
    key = "Providers" if "Providers" in document or "providers" not in document else "providers"
    providers = list(document.get(key) or [])
    at = _index_of(providers, entry.name)
    old = providers[at] if at is not None else {}
    provider = _provider(old, entry)
    if at is None:
        providers.append(provider)
    else:
        providers[at] = provider
    document[key] = providers
    router = document.get("Router")
    router = dict(router) if isinstance(router, dict) else {}
    routes = {f"{entry.name},{model}".lower() for model in entry.models}
    if str(router.get("default", "")).replace(" ", "").lower() not in routes:
        router["default"] = f"{entry.name},{entry.models[0]}"
    document["Router"] = router
    return document


def models_in(written: Mapping[str, Any], name: str, url: str) -> list[str]:
    """Return the models of the provider ``name`` in the document, if it leads to the workspace ``url``."""
    providers = written.get("Providers") or written.get("providers") or []
    at = _index_of(providers, name)
    provider = providers[at] if at is not None else {}
    models = provider.get("models")
    is_same = str(provider.get("api_base_url", "")).startswith(f"{url}/")
    return [each for each in models if isinstance(each, str)] if is_same and isinstance(models, list) else []


def bytes_from_document(document: Mapping[str, Any]) -> bytes:
    """Return the file's content."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def masked(value: Any, key: str = "") -> Any:
    """Return what may be shown: what keys of secrets hold is ``***``, unless it is a ``$VARIABLE``.

    Any header may be a key, and so may the path of a ``url``: of a webhook it mostly is.
    """
    if isinstance(value, dict):
        return {name: masked(entry, name_within(key, name)) for name, entry in value.items()}
    if isinstance(value, list):
        return [masked(entry, key) for entry in value]
    if isinstance(value, str):
        is_secret = SECRET_KEY.search(key) is not None and OPEN_VALUE.fullmatch(value) is None
        return "***" if is_secret else redacted(_without_path(value) if key == "url" else value)
    return value


def _without_path(url: str) -> str:
    """Return a URL as far as it is no key: its host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    is_bare = not parts.netloc or not (parts.path.strip("/") or parts.query)
    return url if is_bare else f"{parts.scheme}://{parts.netloc}/***"


def _provider(old: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    # `api` is written by the URL: an old word beside the new URL would be a contradiction.
    kept = {key: value for key, value in old.items() if key not in (*IDENTITY_KEYS, "api")}
    provider = {
        "name": entry.name,
        "api_base_url": entry.base_url,
        **entry.identity,
        "models": list(entry.models),
        **({} if entry.api == "anthropic" else {"transformer": {"use": ["databricks-custom"]}}),
    }
    if "transformer" in kept:
        provider["transformer"] = kept["transformer"]
    return provider | {key: value for key, value in kept.items() if key not in provider}


def _index_of(providers: Any, name: str) -> int | None:
    for index, provider in enumerate(providers if isinstance(providers, list) else []):
        if isinstance(provider, dict) and str(provider.get("name", "")).strip().lower() == name.lower():
            return index
    return None
