"""The sentences of a search that found no identity, or too many. None of them holds a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import ConfigError, Problem
from ccr.upstream.auth.identity import PAT
from ccr.upstream.auth.layers import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.config.profiles import Profiles
    from ccr.upstream.auth.layers import Layer

NO_SDK: Final = (
    "a way to sign in that needs databricks-sdk, which is not installed",
    "the same after `pip install 'ccr-proxy[sdk]'`, or pat, oauth-m2m, databricks-cli, which need nothing",
)
NO_PROGRAM: Final = (
    "databricks-cli, and no program `databricks` on PATH",
    "the Databricks CLI (0.200 or newer) on PATH, or its path in cli_path or DATABRICKS_CLI_PATH",
)


def problem(layer: Layer, key: str, found: str, allowed: str) -> ConfigError:
    """Return one problem at a key of a place, as the error to raise."""
    return ConfigError(Problem(layer.place, layer.key(key), found, allowed))


def several_ways(layer: Layer, ways: Mapping[str, str]) -> ConfigError:
    """Return the error of a place with several ways to sign in. ways: name -> the key that shows it."""
    keys = ", ".join(layer.key(key) for key in ways.values())
    found = f"{len(ways)} ways to sign in at once ({', '.join(ways)})"
    return ConfigError(
        Problem(layer.place, keys, found, f"one of them, or {layer.key('auth_type')} saying which")
    )


def several_profiles(profiles: Profiles, names: Sequence[str], host: str) -> ConfigError:
    """Return the error of a workspace with more than one profile."""
    allowed = f"`profile` on the provider (or DATABRICKS_CONFIG_PROFILE): one of {', '.join(names)}"
    keys = ", ".join(f"[{name}]" for name in names)
    return ConfigError(Problem(profiles.file, keys, f"{len(names)} profiles for {host}", allowed))


def host_is_missing(layer: Layer) -> ConfigError:
    """Return the error of credentials whose workspace is nowhere said."""
    found = "no workspace that these credentials belong to"
    return problem(layer, "host", found, "the workspace's host, or DATABRICKS_HOST")


def workspace_is_unsaid(layer: Layer, wanted: str) -> ConfigError:
    """Return the error of a credential without host, for a provider that may not be a workspace."""
    found = f"nothing that says whether its credentials are meant for {wanted}"
    return problem(layer, "host", found, "the host there, or `host` on the provider")


def workspaces_differ(layer: Layer, said: str, wanted: str) -> ConfigError:
    """Return the error of a credential for one workspace and a provider at another."""
    allowed = (
        "one workspace: name its `profile` on the provider, or its `host` when both are the same workspace"
    )
    return problem(layer, "host", f"{said}, but the provider is at {wanted}", allowed)


def is_incomplete(auth_type: str, explicit: Layer, seen: Sequence[Layer]) -> ConfigError:
    """Return the error of an auth type whose credentials are missing, wholly or in part."""
    needed = ("token",) if auth_type == PAT else ("client_id", "client_secret")
    missing = [key for key in needed if not any(key in layer.values for layer in seen)]
    wanted = " and ".join(f"{explicit.key(key)} (or {ENVIRONMENT[key]})" for key in missing)
    places = ", ".join(layer.source for layer in seen)
    found = f"{auth_type} without {' and '.join(missing)} (looked at: {places})"
    return problem(explicit, "auth_type", found, wanted)


def is_not_found(
    explicit: Layer, profiles: Profiles | None, *, host: str | None, has_program: bool
) -> ConfigError:
    """Return the error when every place was looked at and none had anything."""
    looked = [
        "no api_key, profile or client_id on the provider",
        "no DATABRICKS_TOKEN, DATABRICKS_CLIENT_SECRET or DATABRICKS_CONFIG_PROFILE in the environment",
    ]
    if profiles is None or not profiles.exists:
        looked.append(f"no file {profiles.file if profiles is not None else '~/.databrickscfg'}")
    else:
        of = f"for {host}" if host is not None else "that is the default"
        looked.append(f"no profile {of} in {profiles.file} (it has: {', '.join(profiles.named) or 'none'})")
    looked.append(
        "no host to ask the Databricks CLI for" if has_program else "no program `databricks` on PATH"
    )
    login = f"`databricks auth login --host {host or 'https://<workspace>'}`"
    remedy = f"{login} with the Databricks CLI (the simplest)"
    if host is None:
        remedy += " and `host` on the provider"
    return problem(
        explicit,
        "token",
        "no Databricks identity: " + "; ".join(looked),
        f"{remedy}, or one of the things looked for",
    )
