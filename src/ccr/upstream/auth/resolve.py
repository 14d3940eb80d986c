"""Which identity a provider has. Pure: settings, environment and profile file go in, a value comes out.

The order is the Databricks tools': what the provider itself says, the environment, a profile of
``~/.databrickscfg``, the login of the Databricks CLI, and what else ``databricks-sdk`` knows. It differs from
theirs where they guess: a profile that the provider names is not overruled by a token in the environment, and
two ways at once, or two workspaces at once, are an error that names both. Nothing is asked of the network.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.profiles import read_profiles
from ccr.upstream.auth.identity import (
    DATABRICKS_CLI,
    OAUTH_M2M,
    ON_BEHALF_OF_USER,
    PAT,
    SDK_AUTH_TYPES,
    DatabricksCli,
    Identity,
    IdentitySettings,
    OAuthM2M,
    OnBehalfOfUser,
    SdkIdentity,
    StaticToken,
)
from ccr.upstream.auth.layers import (
    Layer,
    auth_type_in,
    environment_layer,
    profile_layer,
    settings_layer,
    ways_in,
)
from ccr.upstream.auth.resolve_problems import (
    NO_PROGRAM,
    NO_SDK,
    host_is_missing,
    is_incomplete,
    is_not_found,
    problem,
    several_profiles,
    several_ways,
    workspace_is_unsaid,
    workspaces_differ,
)
from ccr.upstream.auth.tokens import token_from_text
from ccr.upstream.auth.workspace_hosts import host_in, is_databricks, workspace_of_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ccr.config.profiles import Profiles, ReadFile

PROGRAM: Final = "databricks"


def find_program(name: str, path: str | None) -> str | None:
    """Return the program's absolute path; one in the current folder is nobody's choice and is not taken."""
    found = shutil.which(name, path=path)
    return found if found is not None and Path(found).is_absolute() else None


def resolve_identity(
    settings: IdentitySettings,
    environ: Mapping[str, str],
    read_file: ReadFile,
    *,
    find_program: Callable[[str, str | None], str | None] = find_program,
    has_sdk: bool = False,
) -> Identity:
    """Return the identity. Raises ConfigError: what was looked for, what contradicts what, and the remedy.

    read_file: path -> text of ``~/.databrickscfg``. find_program: name, PATH -> path of a program.
    has_sdk: whether ``databricks-sdk`` is installed.
    """
    return _Search(settings, environ, read_file, find_program, has_sdk=has_sdk).identity()


class _Search:
    """One search, from the first place to the last. ``seen`` are the places looked at so far."""

    def __init__(
        self,
        settings: IdentitySettings,
        environ: Mapping[str, str],
        read_file: ReadFile,
        find_program: Callable[[str, str | None], str | None],
        *,
        has_sdk: bool,
    ) -> None:
        self._environ = environ
        self._read_file = read_file
        self._find_program = find_program
        self._has_sdk = has_sdk
        self._explicit = settings_layer(settings)
        self._environment = environment_layer(environ)
        self._is_host_explicit = "host" in self._explicit.values
        self._wanted_host = host_in(self._explicit) or workspace_of_url(settings.url)
        self._profiles: Profiles | None = None
        self._profile: Layer | None = None
        self._auth_type: str | None = None
        self._seen: list[Layer] = []

    def identity(self) -> Identity:
        for layer in self._layers():
            self._seen.append(layer)
            self._auth_type = self._auth_type or auth_type_in(layer)
            if self._auth_type == ON_BEHALF_OF_USER:
                return OnBehalfOfUser(host=self._wanted_host)
            found = self._identity_in(layer)
            if found is not None:
                return found
        return self._last_resort()

    # -- where to look ---------------------------------------------------------------------------------------

    def _layers(self) -> Iterator[Layer]:
        """Yield the places in order; when the provider names a profile, the environment does not count."""
        yield self._explicit
        if "profile" not in self._explicit.values:
            yield self._environment
        self._profile = self._find_profile()
        if self._profile is not None:
            yield self._profile

    def _find_profile(self) -> Layer | None:
        """Return the named profile, or the one that belongs to the workspace, or the default one."""
        self._profiles = profiles = read_profiles(self._environ, self._read_file)
        for layer in self._seen:
            name = layer.values.get("profile")
            if name is not None:
                return profile_layer(profiles, name)
        host = self._wanted_host or host_in(self._environment)
        if host is None:
            return profile_layer(profiles, profiles.default) if profiles.default in profiles.named else None
        of_host = [
            name for name, keys in profiles.named.items() if workspace_of_url(keys.get("host")) == host
        ]
        if profiles.default in of_host:
            return profile_layer(profiles, profiles.default)
        if len(of_host) > 1:
            raise several_profiles(profiles, of_host, host)
        return profile_layer(profiles, of_host[0]) if of_host else None

    # -- what is there ---------------------------------------------------------------------------------------

    def _identity_in(self, layer: Layer) -> Identity | None:
        """Return the identity that this place completes, None when it completes none."""
        if self._auth_type is None:
            ways = ways_in(layer)
            if len(ways) > 1:
                raise several_ways(layer, ways)
            way = next(iter(ways), None)
            if way == OAUTH_M2M:  # also when only half of it stands there: it is meant, whatever follows
                self._auth_type = OAUTH_M2M
        else:
            way = self._auth_type
        if way == PAT and "token" in layer.values:
            return self._static_token(layer)
        if way == OAUTH_M2M:
            return self._oauth_m2m()
        return None

    def _static_token(self, layer: Layer) -> StaticToken:
        try:
            token = token_from_text(layer.values["token"])
        except ValueError as error:
            raise problem(layer, "token", str(error), "a token of one word") from None
        return StaticToken(
            token=token.secret,
            host=self._host_for(layer),
            source=layer.source,
            profile=layer.profile,
        )

    def _oauth_m2m(self) -> OAuthM2M | None:
        found = {
            key: layer
            for key in ("client_id", "client_secret")
            for layer in reversed(self._seen)
            if key in layer.values
        }
        if len(found) < 2:
            return None
        layer = found["client_secret"]
        host = self._host_for(layer)
        if host is None:
            raise host_is_missing(layer)
        return OAuthM2M(
            host=host,
            client_id=found["client_id"].values["client_id"],
            client_secret=layer.secret("client_secret"),
            source=layer.source,
        )

    def _host_for(self, layer: Layer) -> str | None:
        """Return the workspace that a place's credential belongs to; it goes to no other one."""
        wanted, said = self._wanted_host, host_in(layer)
        if layer is self._explicit:
            return wanted or host_in(self._environment)
        if said is None:
            others = (host_in(other) for other in self._seen if other is not self._explicit)
            said = next((host for host in others if host), None)
        if said is None and wanted is not None and not (self._is_host_explicit or is_databricks(wanted)):
            raise workspace_is_unsaid(layer, wanted)
        if said is not None and wanted is not None and said != wanted:
            raise workspaces_differ(layer, said, wanted)
        return said or wanted

    # -- when no place had it --------------------------------------------------------------------------------

    def _last_resort(self) -> Identity:
        auth_type = self._auth_type
        if auth_type in {PAT, OAUTH_M2M}:
            raise is_incomplete(str(auth_type), self._explicit, self._seen)
        layer, profile = self._environment, None
        host = self._wanted_host or host_in(layer)
        if self._profile is not None:
            layer, profile, host = self._profile, self._profile.profile, self._host_for(self._profile)
        sdk = SdkIdentity(host=host, profile=profile, auth_type=auth_type, source=layer.source)
        if auth_type in SDK_AUTH_TYPES or (auth_type is None and layer.needs_sdk):
            if not self._has_sdk:
                raise problem(layer, "auth_type", *NO_SDK)
            return sdk
        program = self._program()
        if program is not None and (host or profile):
            return DatabricksCli(host=host, profile=profile, program=program, source=layer.source)
        if auth_type == DATABRICKS_CLI:
            if program is None:
                raise problem(layer, "auth_type", *NO_PROGRAM)
            raise host_is_missing(layer)
        if self._has_sdk:
            return sdk
        raise is_not_found(self._explicit, self._profiles, host=host, has_program=program is not None)

    def _program(self) -> str | None:
        for layer in (self._explicit, self._environment):
            if "cli_path" in layer.values:
                return layer.values["cli_path"]
        return self._find_program(PROGRAM, self._environ.get("PATH"))
