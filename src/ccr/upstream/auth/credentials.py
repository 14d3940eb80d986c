"""What the gateway knows of an identity: a header for each request, and what to do when it was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ccr.config.profiles import read_text
from ccr.upstream.auth.databricks_cli import DatabricksCliSource
from ccr.upstream.auth.identity import DatabricksCli, OAuthM2M, OnBehalfOfUser, StaticToken
from ccr.upstream.auth.oauth_m2m import OAuthM2MSource
from ccr.upstream.auth.on_behalf_of import OnBehalfOfUserCredentials
from ccr.upstream.auth.renewing import RenewingCredentials
from ccr.upstream.auth.resolve import resolve_identity
from ccr.upstream.auth.sdk import SdkSource, has_sdk
from ccr.upstream.auth.static import StaticCredentials
from ccr.upstream.auth.tokens import moment_now

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from ccr.config.model import Secret
    from ccr.config.profiles import ReadFile
    from ccr.upstream.auth.http import TokenHttp
    from ccr.upstream.auth.identity import Identity, IdentitySettings
    from ccr.upstream.auth.sources import TokenSource
    from ccr.upstream.auth.tokens import Moment


class Credentials(Protocol):
    """One identity at work. One instance serves all requests of a provider."""

    async def authorization(self, forwarded: str | None = None) -> Secret:
        """Return the value of the Authorization header.

        forwarded: the request's ``x-forwarded-access-token``, read only by the user's own identity. Raises
        UpstreamError or RequestError with what a person can do.
        """

    async def rejected(self, used: Secret) -> bool:
        """Tell it that the workspace refused this header; returns whether to send the request once more.

        Then ask for ``authorization`` again. Raises UpstreamError when a renewal failed: its sentence says
        more than the refusal does.
        """

    def describe(self) -> dict[str, str]:
        """Return method, host, source, expires_at (ISO 8601 or a word) and more for a person; no secret.

        problem: why there is no newer token, where that is so.
        """

    async def close(self) -> None:
        """End what is under way."""


def credentials_for(
    settings: IdentitySettings,
    environ: Mapping[str, str],
    *,
    http: TokenHttp,
    read_file: ReadFile | None = None,
    clock: Callable[[], Moment] = moment_now,
    log: logging.Logger | None = None,
) -> Credentials:
    """Return the credentials of a provider; asks no network.

    Raises ConfigError when there are none, or too many.
    """
    read_file = read_file or read_text
    identity = resolve_identity(settings, environ, read_file, has_sdk=has_sdk())
    return credentials_of(identity, environ, http=http, read_file=read_file, clock=clock, log=log)


def credentials_of(
    identity: Identity,
    environ: Mapping[str, str],
    *,
    http: TokenHttp,
    read_file: ReadFile,
    clock: Callable[[], Moment] = moment_now,
    log: logging.Logger | None = None,
) -> Credentials:
    """Return the credentials of an identity."""
    if isinstance(identity, StaticToken):
        return StaticCredentials(identity, environ, read_file, clock=clock)
    if isinstance(identity, OnBehalfOfUser):
        return OnBehalfOfUserCredentials(identity)
    source: TokenSource
    if isinstance(identity, OAuthM2M):
        source = OAuthM2MSource(identity, http, clock=clock)
    elif isinstance(identity, DatabricksCli):
        source = DatabricksCliSource(identity, environ, clock=clock)
    else:
        source = SdkSource(identity)
    return RenewingCredentials(source, clock=clock, log=log)
