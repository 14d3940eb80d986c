"""The places that describe an identity (provider settings, environment, a profile), each as the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccr.config.model import Secret
from ccr.errors import ConfigError, Problem
from ccr.upstream.auth.identity import AUTH_TYPES, OAUTH_M2M, ON_BEHALF_OF_USER, PAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.profiles import Profiles
    from ccr.upstream.auth.identity import IdentitySettings

ENVIRONMENT: Final = {
    "host": "DATABRICKS_HOST",
    "token": "DATABRICKS_TOKEN",
    "client_id": "DATABRICKS_CLIENT_ID",
    "client_secret": "DATABRICKS_CLIENT_SECRET",
    "profile": "DATABRICKS_CONFIG_PROFILE",
    "auth_type": "DATABRICKS_AUTH_TYPE",
    "cli_path": "DATABRICKS_CLI_PATH",
}
"""Key -> variable of the environment."""
PROFILE_KEYS: Final = ("host", "token", "client_id", "client_secret", "auth_type")
SDK_KEYS: Final = ("azure_", "google_", "metadata_service_url", "oidc_token_", "username", "password")
"""Beginnings of a profile's keys that only ``databricks-sdk`` understands."""
AUTO: Final = "auto"


@dataclass(frozen=True)
class Layer:
    """One place. place: as errors call it. values: without empty ones. source: as `describe` calls it.

    names: key -> how it is written there. profile: the profile's name when it is one.
    """

    place: str
    values: Mapping[str, str]
    names: Mapping[str, str]
    source: str
    profile: str | None = None
    is_settings: bool = False
    needs_sdk: bool = False

    def __repr__(self) -> str:
        return f"Layer({self.source}: {', '.join(self.values)})"

    def key(self, name: str) -> str:
        """Return how the person writes a key at this place."""
        return self.names[name]

    def secret(self, name: str) -> Secret:
        """Return a value as a secret."""
        return Secret(self.values[name])


def settings_layer(settings: IdentitySettings) -> Layer:
    """Return what the provider itself says."""
    api_key = settings.api_key.reveal() if settings.api_key is not None else None
    secret = settings.client_secret.reveal() if settings.client_secret is not None else None
    values = {
        "host": settings.host,
        "token": None if api_key is not None and api_key.strip().lower() == AUTO else api_key,
        "client_id": settings.client_id,
        "client_secret": secret,
        "profile": settings.profile,
        "auth_type": settings.auth_type,
        "cli_path": settings.cli_path,
    }
    names = {key: f"{settings.path}.{key}" for key in values} | {"token": f"{settings.path}.api_key"}
    return Layer(settings.file, _filled(values), names, settings.file, is_settings=True)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return what the environment says."""
    values = {key: environ.get(variable) for key, variable in ENVIRONMENT.items()}
    return Layer("environment", _filled(values), ENVIRONMENT, "environment")


def profile_layer(profiles: Profiles, name: str) -> Layer:
    """Return what a profile says. Raises ConfigError when there is no such profile."""
    keys = profiles.get(name)
    return Layer(
        profiles.file,
        _filled({key: keys.get(key) for key in PROFILE_KEYS}),
        {key: f"[{name}] {key}" for key in PROFILE_KEYS},
        f"profile {name}",
        profile=name,
        needs_sdk=any(key.startswith(SDK_KEYS) for key in keys) and "auth_type" not in keys,
    )


def ways_in(layer: Layer) -> dict[str, str]:
    """Return the ways to sign in that one place offers, each with the key that shows it."""
    ways = {}
    if "token" in layer.values:
        ways[PAT] = "token"
    if "client_secret" in layer.values:
        ways[OAUTH_M2M] = "client_secret"
    elif layer.is_settings and "client_id" in layer.values:
        ways[OAUTH_M2M] = "client_id"
    if "profile" in layer.values:
        ways["profile"] = "profile"
    return ways


def auth_type_in(layer: Layer) -> str | None:
    """Return the auth type that a place names. Raises ConfigError on a word that is none."""
    written = layer.values.get("auth_type")
    if written is None:
        return None
    allowed = [word for word in AUTH_TYPES if layer.is_settings or word != ON_BEHALF_OF_USER]
    if written.lower() not in allowed:
        what = "one of " + ", ".join(allowed)
        raise ConfigError(Problem(layer.place, layer.key("auth_type"), "a word that is none of them", what))
    return written.lower()


def _filled(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value.strip() for key, value in values.items() if value is not None and value.strip()}
