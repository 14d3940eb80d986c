"""From the configured providers to their identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Provider, Secret, SignIn
from ccr.errors import ConfigError
from ccr.upstream.auth.identity import IdentitySettings, OAuthM2M, OnBehalfOfUser, StaticToken
from ccr.upstream.identities import identities_of, identity_settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "https://dbc-1.cloud.databricks.com"
URL = f"{HOST}/serving-endpoints/m/invocations"


def provider(name: str = "p", api_key: str | None = None, sign_in: SignIn | None = None) -> Provider:
    key = Secret(api_key) if api_key else None
    return Provider(name=name, url=URL, api_key=key, models=("m",), sign_in=sign_in)


def no_file(_path: str) -> str:
    raise FileNotFoundError


def config(*providers: Provider) -> Config:
    return Config(providers=providers)


@pytest.mark.parametrize("each", [provider(), provider(api_key="k"), provider(api_key="k", sign_in=SignIn())])
def test_a_key_of_its_own_or_none_needs_no_identity(each: Provider) -> None:
    assert identity_settings_from(each) is None
    assert identities_of(config(each), {"DATABRICKS_TOKEN": "t"}, read_file=no_file) == {}


def test_what_a_provider_says_is_handed_over() -> None:
    said = SignIn(
        file="/h/config.json",
        path="Providers[1]",
        host=HOST,
        profile="work",
        client_id="id",
        client_secret=Secret("s"),
        auth_type="oauth-m2m",
        cli_path="/db",
    )
    assert identity_settings_from(provider(sign_in=said)) == IdentitySettings(
        provider="p",
        path="Providers[1]",
        file="/h/config.json",
        url=URL,
        host=HOST,
        profile="work",
        client_id="id",
        client_secret=Secret("s"),
        auth_type="oauth-m2m",
        cli_path="/db",
    )


@pytest.mark.parametrize(
    ("sign_in", "environ", "kind"),
    [
        (SignIn(), {"DATABRICKS_TOKEN": "t"}, StaticToken),
        (SignIn(client_id="i", client_secret=Secret("s")), {}, OAuthM2M),
        (SignIn(), {"DATABRICKS_CLIENT_ID": "i", "DATABRICKS_CLIENT_SECRET": "s"}, OAuthM2M),
        (SignIn(on_behalf_of_user=True), {}, OnBehalfOfUser),
    ],
)
def test_kinds(sign_in: SignIn, environ: Mapping[str, str], kind: type) -> None:
    found = identities_of(config(provider(sign_in=sign_in)), environ, read_file=no_file)
    assert isinstance(found["p"], kind)


def test_the_problems_of_all_providers_come_at_once() -> None:
    first = provider("a", sign_in=SignIn(path="Providers[0]", auth_type="oauth-m2m"))
    second = provider("b", sign_in=SignIn(path="Providers[1]", auth_type="magic"))
    third = provider("c", sign_in=SignIn(path="Providers[1]", auth_type="magic"))
    with pytest.raises(ConfigError) as caught:
        identities_of(config(first, second, third), {"HOME": "/nowhere"}, read_file=no_file)
    assert [problem.key for problem in caught.value.problems] == [
        "Providers[0].auth_type",
        "Providers[1].auth_type",
    ]
