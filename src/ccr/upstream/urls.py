"""Which URL serves a model of a provider, in each of the two dialects. Pure.

A Databricks workspace serves models at two places, and each place in both dialects:

    /serving-endpoints/<endpoint>/invocations       /serving-endpoints/anthropic/v1/messages
    /serving-endpoints/chat/completions
    /ai-gateway/mlflow/v1/chat/completions          /ai-gateway/anthropic/v1/messages

Models of Unity Catalog (``system.ai.…``) are served by the gateway alone. Source: databricks.md §1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from ccr.config.address import is_loopback
from ccr.config.api import WORKSPACE, is_messages_url, is_workspace_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Provider

_INVOCATIONS: Final = re.compile(r"(?P<base>.*/serving-endpoints/)[^/?#]+(?P<rest>/invocations/?(?:[?#].*)?)")


_CHAT_PATHS: Final = {
    "serving-endpoints": "/serving-endpoints/chat/completions",
    "ai-gateway": "/ai-gateway/mlflow/v1/chat/completions",
}
_MESSAGES_PATHS: Final = {
    "serving-endpoints": "/serving-endpoints/anthropic/v1/messages",
    "ai-gateway": "/ai-gateway/anthropic/v1/messages",
}
_CATALOG_PREFIX: Final = "system.ai."


def is_relayed(provider: Provider) -> bool:
    """Tell whether a provider is spoken to in the Messages API's format, and is no workspace.

    Then a request goes to its URL as the client wrote it.
    """
    return provider.api == "anthropic" and not is_workspace_url(provider.url)


def messages_url_of(provider: Provider, model: str) -> str:
    """Return the URL to post a request for ``model`` to, in the Messages API's format.

    It is the provider's own if it ends in ``/v1/messages``, except that a workspace's may lead to another
    place than the model's.
    """
    return _in_workspace(provider.url, model, _MESSAGES_PATHS) or provider.url


def url_of(provider: Provider, model: str) -> str:
    """Return the URL to post a chat completion request for ``model`` to; "" when the provider has none.

    It is the provider's own, with three exceptions. A Databricks ``…/serving-endpoints/<name>/invocations``
    names one endpoint, so another than the provider's only model takes the place of that name. A model that
    was discovered in the gateway is asked there. And a provider given by the URL of its Messages API has
    chat only if it is a workspace.
    """
    if is_relayed(provider):
        return ""
    is_discovered = model not in provider.models
    if is_messages_url(provider.url) or (is_discovered and model.lower().startswith(_CATALOG_PREFIX)):
        return _in_workspace(provider.url, model, _CHAT_PATHS)
    found = _INVOCATIONS.fullmatch(provider.url)
    if found is None or (len(provider.models) < 2 and not is_discovered):
        return provider.url
    return f"{found['base']}{quote(model, safe='')}{found['rest']}"


def _in_workspace(url: str, model: str, paths: Mapping[str, str]) -> str:
    """Return the URL of the workspace at which the model is served by one of the paths, "" for no workspace.

    The URL stays as it is, query included, where it has that path already.
    """
    found = WORKSPACE.match(url)
    if found is None:
        return ""
    path = paths["ai-gateway" if model.lower().startswith(_CATALOG_PREFIX) else found["part"]]
    return url if found[0] == found["base"] + path else found["base"] + path


@lru_cache(maxsize=256)
def host_of(url: str) -> str:
    """Return ``host`` or ``host:port`` as it may be shown to a person: no credentials, no path."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    return f"{host}:{parts.port}" if parts.port else host


@lru_cache(maxsize=256)
def is_local(url: str) -> bool:
    """Tell whether the URL points to this machine, which no proxy reaches."""
    return is_loopback(urlsplit(url).hostname or "")
