"""Which Databricks workspaces a configuration leads to, and who ccr is there."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ccr.errors import ConfigError, RequestError, UpstreamError
from ccr.upstream.auth.credentials import credentials_for
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.auth.identity import PAT, IdentitySettings
from ccr.upstream.auth.tokens import expiry_of_web_token, token_from_header
from ccr.upstream.discovered import workspace_of
from ccr.upstream.discovery import discover
from ccr.upstream.identities import identity_settings_from
from ccr.upstream.ways import Reach
from ccr.upstream.workspace_api import WorkspaceApi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Config, Provider, Secret
    from ccr.upstream.discovery import Discovery


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


def workspaces_of(config: Config) -> dict[str, Provider]:
    """Return workspace URL -> the first provider that leads there, in the configured order."""
    found: dict[str, Provider] = {}
    for provider in config.providers:
        url = workspace_of(provider)
        if url is not None:
            found.setdefault(url, provider)
    return found


async def identity_of(
    provider: Provider, environ: Mapping[str, str], *, reach: Reach | None = None
) -> Identity:
    """Return who a provider's requests come from. reach: how its token endpoint is reached.

    Raises UpstreamError: 401 when there is no identity, 403 when there is one only while a request is served.
    """
    if provider.api_key is not None:
        return Identity("api_key", provider.api_key, expiry_of_web_token(provider.api_key.reveal()))
    settings = identity_settings_from(provider) or IdentitySettings(provider=provider.name, url=provider.url)
    try:
        credentials = credentials_for(settings, environ, http=AiohttpTokenHttp(reach=reach))
    except ConfigError as error:
        raise UpstreamError(401, str(error)) from error
    try:
        token = token_from_header(await credentials.authorization())
        described = credentials.describe()
    except RequestError as error:
        raise UpstreamError(403, error.message) from error
    except UpstreamError as error:
        raise UpstreamError(401, error.message) from error  # whatever its status was for a client
    finally:
        await credentials.close()
    method = described.get("method", "")
    name = " ".join(word for word in (method, f"({described.get('source')})") if word and word != "(None)")
    return Identity(name, token, _seconds_from(described.get("expires_at", "")), renews=method != PAT)


def is_automatic(provider: Provider) -> bool:
    """Tell whether a provider's identity is found as the Databricks tools find it, not written beside it."""
    return provider.api_key is None and workspace_of(provider) is not None


def with_token(config: Config, name: str, token: Secret) -> Config:
    """Return the configuration with a token in place of the identity of one provider."""
    providers = tuple(
        replace(each, api_key=token) if each.name == name else each for each in config.providers
    )
    return replace(config, providers=providers)


async def signed_in(config: Config, environ: Mapping[str, str]) -> Config:
    """Return the configuration with a token wherever an identity is to be found; without one it stays."""
    for provider in config.providers:
        if is_automatic(provider):
            with contextlib.suppress(UpstreamError):  # the checks of the identity say why
                identity = await identity_of(provider, environ, reach=Reach.of(config, provider))
                config = with_token(config, provider.name, identity.token)
    return config


async def models_of(url: str, identity: Identity, *, reach: Reach | None = None) -> Discovery:
    """Return what a workspace serves. Raises UpstreamError."""
    async with WorkspaceApi(url, identity.token, reach=reach) as api:
        return await discover(api)


def _seconds_from(text: str) -> float | None:
    """Return the seconds since 1970 of an ISO 8601 time; None for a word in its place."""
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
