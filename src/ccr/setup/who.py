"""Which workspace and identity a configuration is made for: by option, environment and profiles. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccr.config.address import workspace_url
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
AUTO: Final = "auto"


@dataclass(frozen=True)
class Asked:
    """What the person said by options; None where nothing was said."""

    host: str | None = None
    profile: str | None = None
    token_env: str | None = None
    auth: str | None = None


@dataclass(frozen=True)
class Who:
    """keys: what stands in the provider's entry. method: the same for the person."""

    keys: Mapping[str, str]
    method: str


def host_of(asked: Asked, environ: Mapping[str, str], profiles: Mapping[str, str]) -> str | None:
    """Return the workspace's URL, None when nothing names one.

    In this order: the option, the profile asked for, DATABRICKS_HOST, the profile of the environment, the
    profile DEFAULT, the only profile. Raises StartError on a host that cannot be one, or an unknown profile.
    """
    if asked.host is not None:
        return _url("--host", asked.host)
    if asked.profile is not None:
        if asked.profile not in profiles:
            known = ", ".join(profiles) or "none"
            raise StartError(f"There is no profile {asked.profile!r} with a host; profiles: {known}.")
        return profiles[asked.profile]
    if environ.get("DATABRICKS_HOST", "").strip():
        return _url("DATABRICKS_HOST", environ["DATABRICKS_HOST"])
    named = profiles.get(environ.get("DATABRICKS_CONFIG_PROFILE", "")) or profiles.get("DEFAULT")
    if named is None and len(profiles) == 1:
        return next(iter(profiles.values()))
    return named


def who_calls(
    asked: Asked,
    url: str,
    environ: Mapping[str, str],
    profiles: Mapping[str, str],
    *,
    prefers_principal: bool = False,
) -> Who | None:
    """Return the identity to configure, None when nothing names one.

    prefers_principal: take the service principal when a token is set as well (on a devbox or in an app the
    platform sets the principal). Otherwise two identities at once are named, not guessed: StartError.
    """
    if asked.token_env is not None:
        return _by_variable(asked.token_env, environ)
    if asked.profile is not None:
        return Who({"api_key": AUTO, "profile": asked.profile}, f"profile {asked.profile}")
    if asked.auth is not None:
        keys = {"api_key": AUTO} if asked.auth == AUTO else {"api_key": AUTO, "auth_type": asked.auth}
        return Who(keys, f"authentication {asked.auth}")
    return _of_environment(environ, prefers_principal=prefers_principal) or _of_profiles(
        url, environ, profiles
    )


def _of_environment(environ: Mapping[str, str], *, prefers_principal: bool) -> Who | None:
    kind = environ.get("DATABRICKS_AUTH_TYPE", "").strip()
    has_token = bool(environ.get("DATABRICKS_TOKEN", "").strip())
    has_secret = all(environ.get(f"DATABRICKS_CLIENT_{word}", "").strip() for word in ("ID", "SECRET"))
    if has_token and has_secret and not kind and not prefers_principal:
        raise StartError(
            "DATABRICKS_TOKEN and DATABRICKS_CLIENT_ID/SECRET are both set, two identities at once. Say "
            "which: --token-env DATABRICKS_TOKEN, or --auth oauth-m2m."
        )
    if has_secret and kind in {"", "oauth-m2m"}:
        keys = {"api_key": AUTO, "auth_type": "oauth-m2m"} if has_token else {"api_key": AUTO}
        return Who(keys, "the service principal of DATABRICKS_CLIENT_ID")
    if has_token and kind in {"", "pat"}:
        return _by_variable("DATABRICKS_TOKEN", environ)
    return Who({"api_key": AUTO}, f"DATABRICKS_AUTH_TYPE {kind}") if kind else None


def _of_profiles(url: str, environ: Mapping[str, str], profiles: Mapping[str, str]) -> Who | None:
    chosen = environ.get("DATABRICKS_CONFIG_PROFILE", "").strip()
    fitting = [profile for profile, host in profiles.items() if host == url]
    if chosen in fitting:
        fitting = [chosen]
    if not fitting:
        return None
    profile = "DEFAULT" if "DEFAULT" in fitting else fitting[0]
    return Who({"api_key": AUTO, "profile": profile}, f"profile {profile}")


def _by_variable(name: str, environ: Mapping[str, str]) -> Who:
    if not VARIABLE.fullmatch(name):
        raise StartError("--token-env takes the name of a variable (capitals, digits, _), not a token.")
    if not environ.get(name, "").strip():
        raise StartError(f"The variable {name} is not set; export it first.")
    return Who({"api_key": f"${name}"}, f"the variable {name}")


def _url(source: str, written: str) -> str:
    try:
        return workspace_url(written)
    except ValueError as error:
        raise StartError(f"{source}: {error}.") from error
