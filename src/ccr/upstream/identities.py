"""Who each provider of a configuration signs in as.

Asks no network and imports no HTTP library: commands that only check a configuration use it, too.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ccr.config.model import SignIn
from ccr.config.profiles import read_text
from ccr.errors import ConfigError
from ccr.upstream.auth.identity import ON_BEHALF_OF_USER, IdentitySettings
from ccr.upstream.auth.resolve import resolve_identity
from ccr.upstream.auth.sdk import has_sdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Config, Provider
    from ccr.config.profiles import ReadFile
    from ccr.errors import Problem
    from ccr.upstream.auth.identity import Identity


def identity_settings_from(provider: Provider) -> IdentitySettings | None:
    """Return what a provider says about its identity; None when it has a key of its own, or needs none."""
    said = provider.sign_in
    if provider.api_key is not None or said is None:
        return None
    fields = {each.name: getattr(said, each.name) for each in dataclasses.fields(SignIn)}
    if said.on_behalf_of_user:
        fields["auth_type"] = ON_BEHALF_OF_USER
    return IdentitySettings(provider=provider.name, url=provider.url, **fields)


def identities_of(
    config: Config, environ: Mapping[str, str], *, read_file: ReadFile = read_text
) -> dict[str, Identity]:
    """Return provider's name -> identity, for every provider that signs in.

    Raises ConfigError with the problems of all providers.
    """
    found: dict[str, Identity] = {}
    problems: list[Problem] = []
    for provider in config.providers:
        settings = identity_settings_from(provider)
        if settings is None:
            continue
        try:
            found[provider.name] = resolve_identity(settings, environ, read_file, has_sdk=has_sdk())
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return found
