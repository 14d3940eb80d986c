"""Who ccr is to a Databricks workspace: what a provider says about it, and the kinds of identity. Values.

Host names are ``https://name[:port]`` (http on this machine only), as ``workspace_url`` returns them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccr.config.model import SignIn

if TYPE_CHECKING:
    from ccr.config.model import Secret

PAT: Final = "pat"
OAUTH_M2M: Final = "oauth-m2m"
DATABRICKS_CLI: Final = "databricks-cli"
ON_BEHALF_OF_USER: Final = "on-behalf-of-user"

SDK_AUTH_TYPES: Final = (
    "basic",
    "metadata-service",
    "env-oidc",
    "file-oidc",
    "github-oidc",
    "azure-client-secret",
    "github-oidc-azure",
    "azure-cli",
    "azure-devops-oidc",
    "external-browser",
    "runtime-oauth",
    "runtime",
    "google-credentials",
    "google-id",
    "model-serving",
)
"""What only ``databricks-sdk`` does, by its own names (0.156.0)."""

AUTH_TYPES: Final = (PAT, OAUTH_M2M, DATABRICKS_CLI, ON_BEHALF_OF_USER, *SDK_AUTH_TYPES)


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(SignIn):
    """All that a provider of config.json says that its identity may depend on; None where it says nothing.

    provider: its name. url: its api_base_url. api_key: None or ``auto`` when the identity is to be found
    elsewhere. auth_type: ``on-behalf-of-user`` too.
    """

    provider: str = "databricks"
    url: str | None = None
    api_key: Secret | None = None


@dataclass(frozen=True, kw_only=True)
class StaticToken:
    """A token that nobody but the person can renew.

    profile: its profile in ``~/.databrickscfg``, which is read again when the token was refused.
    """

    token: Secret
    host: str | None
    source: str
    profile: str | None = None


@dataclass(frozen=True, kw_only=True)
class OAuthM2M:
    """A service principal with a client secret."""

    host: str
    client_id: str
    client_secret: Secret
    source: str


@dataclass(frozen=True, kw_only=True)
class DatabricksCli:
    """The person's login in the Databricks CLI. profile goes before host. program: path of the CLI."""

    host: str | None
    profile: str | None
    program: str
    source: str


@dataclass(frozen=True, kw_only=True)
class OnBehalfOfUser:
    """The user of a Databricks App, whose token comes with each request."""

    host: str | None = None


@dataclass(frozen=True, kw_only=True)
class SdkIdentity:
    """Whatever ``databricks-sdk`` finds with these; None is left to it."""

    host: str | None
    profile: str | None
    auth_type: str | None
    source: str


Identity = StaticToken | OAuthM2M | DatabricksCli | OnBehalfOfUser | SdkIdentity
