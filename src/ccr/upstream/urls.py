"""Which URL serves a model of a provider. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from ccr.config.address import is_loopback

if TYPE_CHECKING:
    from ccr.config.model import Provider

_INVOCATIONS: Final = re.compile(r"(?P<base>.*/serving-endpoints/)[^/?#]+(?P<rest>/invocations/?(?:[?#].*)?)")


def url_of(provider: Provider, model: str) -> str:
    """Return the URL to post a request for ``model`` to.

    It is the provider's own, with one exception: a Databricks ``…/serving-endpoints/<name>/invocations``
    names one endpoint, so when the provider lists several models the chosen one takes the place of that
    name.
    """
    found = _INVOCATIONS.fullmatch(provider.url)
    if found is None or len(provider.models) < 2:
        return provider.url
    return f"{found['base']}{quote(model, safe='')}{found['rest']}"


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
