"""Which Databricks workspaces a configuration leads to, and who ccr is there."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ccr.errors import UpstreamError
from ccr.upstream.discovery import discover
from ccr.upstream.workspace_api import WorkspaceApi

if TYPE_CHECKING:
    from ccr.config.model import Config, Provider, Secret
    from ccr.upstream.discovery import Discovery

WORKSPACE_PATH = re.compile(r"/(serving-endpoints|ai-gateway)/")


@dataclass(frozen=True)
class Identity:
    """Who calls a workspace.

    method: how it was found, for the person. expires_at: seconds since 1970. renews: whether ccr gets a new
    token by itself before this one ends.
    """

    method: str
    token: Secret
    expires_at: float | None = None
    renews: bool = False


def workspace_of(provider: Provider) -> str | None:
    """Return the workspace's URL that a provider's leads to; None when it is no Databricks endpoint."""
    parts = urlsplit(provider.url)
    if not WORKSPACE_PATH.search(parts.path):
        return None
    return f"{parts.scheme}://{parts.netloc}"


def workspaces_of(config: Config) -> dict[str, Provider]:
    """Return workspace URL -> the first provider that leads there, in the configured order."""
    found: dict[str, Provider] = {}
    for provider in config.providers:
        url = workspace_of(provider)
        if url is not None:
            found.setdefault(url, provider)
    return found


async def identity_of(provider: Provider) -> Identity:
    """Return who a provider's requests come from. Raises UpstreamError when no token can be had."""
    if provider.api_key is None:
        raise UpstreamError(401, f"{provider.name} has no api_key")
    return Identity("api_key", provider.api_key, expiry_of(provider.api_key))


async def models_of(url: str, identity: Identity, *, proxy_url: Secret | None = None) -> Discovery:
    """Return what a workspace serves. Raises UpstreamError."""
    async with WorkspaceApi(url, identity.token, proxy_url=proxy_url) as api:
        return await discover(api)


def expiry_of(token: Secret) -> float | None:
    """Return when a JSON web token ends (its ``exp``), in seconds since 1970; None for any other token.

    The signature is not checked: this is what the person is told, never a decision about access.
    """
    pieces = token.reveal().split(".")
    if len(pieces) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    ends = claims.get("exp") if isinstance(claims, dict) else None
    return float(ends) if isinstance(ends, int | float) and not isinstance(ends, bool) else None
