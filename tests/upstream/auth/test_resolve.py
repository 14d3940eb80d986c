"""Which identity is found, in the order of the Databricks tools, and which contradictions are named."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Secret
from ccr.errors import ConfigError
from ccr.upstream.auth.identity import (
    DatabricksCli,
    Identity,
    IdentitySettings,
    OAuthM2M,
    OnBehalfOfUser,
    SdkIdentity,
    StaticToken,
)
from ccr.upstream.auth.layers import environment_layer, settings_layer
from ccr.upstream.auth.resolve import find_program, resolve_identity

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://dbc-1.cloud.databricks.com"
OTHER = "https://dbc-2.cloud.databricks.com"
URL = f"{HOST}/serving-endpoints/databricks-claude-sonnet-4-6/invocations"
CLI = "/opt/bin/databricks"
CANARY = "canary-1234567890"
HOME_FILE = "/home/p/.databrickscfg"

APP = {
    "DATABRICKS_HOST": "dbc-1.cloud.databricks.com",
    "DATABRICKS_CLIENT_ID": "app-id",
    "DATABRICKS_CLIENT_SECRET": CANARY,
    "DATABRICKS_APP_NAME": "ccr",
}
PROFILES = f"""
[DEFAULT]
host = {HOST}/
token = {CANARY}-default

[cli]
host = {OTHER}
auth_type = databricks-cli

[m2m]
host = dbc-3.cloud.databricks.com
client_id = profile-id
client_secret = {CANARY}

[login-only]
host = https://dbc-4.cloud.databricks.com

[azure]
host = https://adb-5.5.azuredatabricks.net
azure_client_secret = {CANARY}
"""


def found(
    environ: dict[str, str] | None = None,
    file: str | None = None,
    *,
    has_cli: bool = False,
    has_sdk: bool = False,
    **settings: Any,
) -> Identity:
    for key in ("api_key", "client_secret"):
        if isinstance(settings.get(key), str):
            settings[key] = Secret(settings[key])
    variables = {"HOME": "/home/p", **(environ or {})}

    def read_file(path: str) -> str:
        if file is None or path != variables.get("DATABRICKS_CONFIG_FILE", HOME_FILE):
            raise FileNotFoundError(path)
        return file

    return resolve_identity(
        IdentitySettings(provider="dbx", path="Providers[0]", **{"url": URL, **settings}),
        variables,
        read_file,
        find_program=lambda _name, _path: CLI if has_cli else None,
        has_sdk=has_sdk,
    )


def refusal(*places: Any, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        found(*places, **settings)
    assert CANARY not in str(caught.value)
    return str(caught.value)


def pat(token: str, source: str, host: str | None = HOST, profile: str | None = None) -> StaticToken:
    return StaticToken(token=Secret(token), host=host, source=source, profile=profile)


def m2m(client_id: str, source: str, host: str = HOST) -> OAuthM2M:
    return OAuthM2M(host=host, client_id=client_id, client_secret=Secret(CANARY), source=source)


def cli(profile: str | None, host: str | None, source: str) -> DatabricksCli:
    return DatabricksCli(host=host, profile=profile, program=CLI, source=source)


TOKEN = {"DATABRICKS_TOKEN": CANARY}


@pytest.mark.parametrize(
    ("places", "settings", "identity"),
    [
        # what the provider says goes first
        ((TOKEN | {"DATABRICKS_HOST": OTHER}, PROFILES), {"api_key": "mine"}, pat("mine", "config.json")),
        ((APP,), {"api_key": "mine", "url": None}, pat("mine", "config.json")),
        ((TOKEN,), {"client_id": "i", "client_secret": CANARY}, m2m("i", "config.json")),
        (
            (TOKEN | {"DATABRICKS_HOST": OTHER, "DATABRICKS_AUTH_TYPE": "pat"}, PROFILES),
            {"profile": "m2m", "url": None},
            m2m("profile-id", "profile m2m", "https://dbc-3.cloud.databricks.com"),
        ),
        (({},), {"client_id": "i", "client_secret": CANARY, "host": OTHER}, m2m("i", "config.json", OTHER)),
        ((APP,), {"client_id": "mine"}, m2m("mine", "environment")),
        ((APP, PROFILES), {"auth_type": "on-behalf-of-user"}, OnBehalfOfUser(host=HOST)),
        (({},), {"api_key": "mine", "auth_type": "PAT", "profile": "x"}, pat("mine", "config.json")),
        # then the environment
        ((TOKEN,), {}, pat(CANARY, "environment")),
        ((TOKEN,), {"api_key": " Auto "}, pat(CANARY, "environment")),
        ((TOKEN | {"DATABRICKS_HOST": HOST}, PROFILES), {"url": None}, pat(CANARY, "environment")),
        ((APP,), {}, m2m("app-id", "environment")),
        ((APP,), {"url": None}, m2m("app-id", "environment")),
        ((APP | TOKEN | {"DATABRICKS_AUTH_TYPE": "pat"},), {}, pat(CANARY, "environment")),
        ((APP | TOKEN | {"DATABRICKS_AUTH_TYPE": "oauth-m2m"},), {}, m2m("app-id", "environment")),
        ((APP | TOKEN,), {"auth_type": "oauth-m2m"}, m2m("app-id", "environment")),
        (
            ({"DATABRICKS_TOKEN": " "}, PROFILES),
            {},
            pat(f"{CANARY}-default", "profile DEFAULT", profile="DEFAULT"),
        ),
        # then a profile: the named one, the workspace's, the default one
        (
            ({"DATABRICKS_CONFIG_PROFILE": "m2m"}, PROFILES),
            {"url": None},
            m2m("profile-id", "profile m2m", "https://dbc-3.cloud.databricks.com"),
        ),
        (({}, PROFILES), {"url": None}, pat(f"{CANARY}-default", "profile DEFAULT", profile="DEFAULT")),
        (
            ({}, PROFILES),
            {"profile": "DEFAULT"},
            pat(f"{CANARY}-default", "profile DEFAULT", profile="DEFAULT"),
        ),
        (
            ({"DATABRICKS_HOST": "dbc-3.cloud.databricks.com"}, PROFILES),
            {"url": None},
            m2m("profile-id", "profile m2m", "https://dbc-3.cloud.databricks.com"),
        ),
        (
            ({"DATABRICKS_CONFIG_FILE": "/etc/dbx"}, PROFILES),
            {"url": f"{OTHER}/serving-endpoints", "auth_type": "pat", "api_key": "k"},
            pat("k", "config.json", OTHER),
        ),
        (
            ({}, f"[a]\nhost={HOST}\n[b]\nhost={HOST}\ntoken=b\n[__settings__]\ndefault_profile = b"),
            {},
            pat("b", "profile b", profile="b"),
        ),
        (
            ({}, "[DEFAULT]\ntoken = t"),
            {"profile": "DEFAULT"},
            pat("t", "profile DEFAULT", profile="DEFAULT"),
        ),
        (
            ({}, f"[vanity]\nhost = {OTHER}\ntoken = t"),
            {"url": "https://ai.example.com/serving-endpoints", "host": OTHER},
            pat("t", "profile vanity", OTHER, "vanity"),
        ),
        (
            ({}, f"[a]\nhost = {OTHER}\ntoken = t"),
            {"url": "https://123.ai-gateway.cloud.databricks.com/anthropic", "profile": "a"},
            pat("t", "profile a", OTHER, "a"),
        ),
        (
            ({"DATABRICKS_CLIENT_SECRET": CANARY}, f"[a]\nhost = {HOST}\nclient_id = half"),
            {},
            m2m("half", "environment"),
        ),
    ],
)
def test_the_first_place_that_says_who_decides(
    places: tuple[Any, ...], settings: dict[str, Any], identity: Identity
) -> None:
    assert found(*places, **settings) == identity


@pytest.mark.parametrize(
    ("places", "settings", "identity"),
    [
        (({},), {}, cli(None, HOST, "environment")),
        (({"DATABRICKS_HOST": OTHER},), {"url": None}, cli(None, OTHER, "environment")),
        (({}, PROFILES), {"url": OTHER + "/x"}, cli("cli", OTHER, "profile cli")),
        (
            ({}, PROFILES),
            {"profile": "login-only", "url": None},
            cli("login-only", "https://dbc-4.cloud.databricks.com", "profile login-only"),
        ),
        ((APP | TOKEN,), {"auth_type": "databricks-cli"}, cli(None, HOST, "environment")),
        (({"DATABRICKS_HOST": OTHER},), {}, cli(None, HOST, "environment")),
        (
            ({}, "[a]\nauth_type = databricks-cli"),
            {"profile": "a", "url": None},
            cli("a", None, "profile a"),
        ),
    ],
)
def test_then_the_login_of_the_databricks_cli(
    places: tuple[Any, ...], settings: dict[str, Any], identity: Identity
) -> None:
    assert found(*places, has_cli=True, has_sdk=True, **settings) == identity


def test_the_path_of_the_cli_can_be_given() -> None:
    given = found({"DATABRICKS_CLI_PATH": "/env/databricks"}, cli_path="/mine/databricks")
    assert isinstance(given, DatabricksCli)
    assert given.program == "/mine/databricks"
    from_environment = found({"DATABRICKS_CLI_PATH": "/env/databricks"})
    assert isinstance(from_environment, DatabricksCli)
    assert from_environment.program == "/env/databricks"


@pytest.mark.parametrize(
    ("places", "settings", "identity"),
    [
        (({},), {}, SdkIdentity(host=HOST, profile=None, auth_type=None, source="environment")),
        (
            (APP,),
            {"auth_type": "azure-cli"},
            SdkIdentity(host=HOST, profile=None, auth_type="azure-cli", source="environment"),
        ),
        (
            ({"DATABRICKS_AUTH_TYPE": "google-id"},),
            {},
            SdkIdentity(host=HOST, profile=None, auth_type="google-id", source="environment"),
        ),
        (
            ({}, PROFILES),
            {"profile": "azure", "url": None},
            SdkIdentity(
                host="https://adb-5.5.azuredatabricks.net",
                profile="azure",
                auth_type=None,
                source="profile azure",
            ),
        ),
    ],
)
def test_then_what_the_sdk_knows(
    places: tuple[Any, ...], settings: dict[str, Any], identity: Identity
) -> None:
    assert found(*places, has_sdk=True, **settings) == identity


@pytest.mark.parametrize(
    ("places", "settings", "words"),
    [
        # two ways at once
        (
            (APP | TOKEN,),
            {},
            ("DATABRICKS_TOKEN, DATABRICKS_CLIENT_SECRET", "pat, oauth-m2m", "DATABRICKS_AUTH_TYPE"),
        ),
        (
            ({},),
            {"api_key": CANARY, "profile": "p"},
            ("Providers[0].api_key, Providers[0].profile", "2 ways"),
        ),
        (
            ({},),
            {"api_key": CANARY, "client_id": "i", "client_secret": CANARY},
            ("Providers[0].api_key, Providers[0].client_secret", "Providers[0].auth_type"),
        ),
        ((TOKEN | {"DATABRICKS_CONFIG_PROFILE": "a"},), {}, ("DATABRICKS_TOKEN, DATABRICKS_CONFIG_PROFILE",)),
        (
            ({}, f"[x]\nhost={HOST}\ntoken={CANARY}\nclient_id=i\nclient_secret={CANARY}"),
            {},
            ("[x] token, [x] client_secret", "[x] auth_type"),
        ),
        # two workspaces at once
        ((TOKEN | {"DATABRICKS_HOST": OTHER},), {}, (f"environment: DATABRICKS_HOST: found {OTHER}", HOST)),
        (({}, PROFILES), {"profile": "cli"}, ("[cli] host", OTHER, HOST)),
        (({}, PROFILES), {"profile": "DEFAULT", "host": OTHER}, ("[DEFAULT] host", f"is at {OTHER}")),
        (({"DATABRICKS_CONFIG_PROFILE": "cli"}, PROFILES), {}, ("[cli] host", OTHER, HOST)),
        (
            ({}, f"[a]\nhost={HOST}\ntoken=a\n[b]\nhost={HOST}\ntoken=b"),
            {},
            ("[a], [b]", f"2 profiles for {HOST}", "one of a, b"),
        ),
        # a token that nobody says is meant for this host
        (
            (TOKEN,),
            {"url": "https://api.example.com/v1"},
            ("DATABRICKS_HOST", "meant for https://api.example.com"),
        ),
        # something is missing
        (({}, PROFILES), {"profile": "nope"}, ("[nope]", "DEFAULT, cli, m2m, login-only, azure")),
        (({},), {"profile": "nope"}, ("[nope]", "the file does not exist", "databricks auth login")),
        (({}, "# empty"), {"profile": "nope"}, ("[nope]", "the file has none")),
        (({"DATABRICKS_CONFIG_PROFILE": "nope"}, PROFILES), {}, ("[nope]",)),
        (({},), {"client_id": "i"}, ("oauth-m2m without client_secret", "DATABRICKS_CLIENT_SECRET")),
        (
            ({"DATABRICKS_CLIENT_SECRET": CANARY},),
            {},
            ("oauth-m2m without client_id", "DATABRICKS_CLIENT_ID"),
        ),
        (({},), {"auth_type": "oauth-m2m"}, ("without client_id and client_secret",)),
        (({"DATABRICKS_AUTH_TYPE": "pat"},), {}, ("pat without token", "DATABRICKS_TOKEN")),
        (
            ({},),
            {"client_id": "i", "client_secret": CANARY, "url": None},
            ("Providers[0].host", "DATABRICKS_HOST"),
        ),
        (({},), {"auth_type": "azure-cli"}, ("databricks-sdk", "ccr-proxy[sdk]")),
        (({}, PROFILES), {"profile": "azure", "url": None}, ("databricks-sdk", "[azure] auth_type")),
        (({},), {"auth_type": "databricks-cli"}, ("no program `databricks`", "DATABRICKS_CLI_PATH")),
        # something is no such thing
        (({},), {"auth_type": "kerberos"}, ("Providers[0].auth_type", "on-behalf-of-user", "azure-cli")),
        (({"DATABRICKS_AUTH_TYPE": "on-behalf-of-user"},), {}, ("DATABRICKS_AUTH_TYPE", "one of pat")),
        (({},), {"host": f"https://{CANARY}@x.example.com"}, ("Providers[0].host",)),
        (({},), {"host": "http://dbc.example.com"}, ("Providers[0].host", "https")),
        (({"DATABRICKS_TOKEN": f"{CANARY} x"},), {}, ("DATABRICKS_TOKEN", "spaces")),
        # nothing at all: what was looked for, and the remedy
        (
            ({},),
            {},
            (
                "Providers[0].api_key",
                "DATABRICKS_TOKEN",
                "DATABRICKS_CLIENT_SECRET",
                "no file ~/.databrickscfg",
                "no program `databricks` on PATH",
                f"databricks auth login --host {HOST}`",
            ),
        ),
        (({}, PROFILES), {"url": "https://dbc-9.cloud.databricks.com/x"}, ("it has: DEFAULT, cli",)),
        (({}, "[x]\ntoken=1"), {"url": None}, ("that is the default", "it has: x", "https://<workspace>")),
        (({}, "#"), {"url": "nonsense://x"}, ("it has: none", "and `host` on the provider")),
    ],
)
def test_what_contradicts_or_is_missing_is_named(
    places: tuple[Any, ...], settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    text = refusal(*places, **settings)
    assert [word for word in words if word not in text] == [], text


def test_a_login_without_a_workspace_says_so() -> None:
    assert "DATABRICKS_HOST" in refusal(auth_type="databricks-cli", url=None, has_cli=True)
    assert "no host to ask the Databricks CLI for" in refusal(url=None, has_cli=True)


def test_without_a_home_there_is_no_profile_file() -> None:
    assert "no file ~/.databrickscfg" in refusal({"HOME": ""})


def test_a_literal_key_needs_no_readable_profile_file() -> None:
    assert found({"DATABRICKS_HOST": "//"}, "not an ini file", api_key="mine") == pat("mine", "config.json")


def test_no_repr_shows_a_secret() -> None:
    settings = IdentitySettings(api_key=Secret(CANARY), client_secret=Secret(CANARY))
    shown = [settings, settings_layer(settings), environment_layer(APP), *map(found, ({**TOKEN}, {**APP}))]
    assert CANARY not in repr(shown)
    assert "environment: host" in repr(shown)


def test_only_a_program_with_an_absolute_path_is_the_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "databricks"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    assert find_program("databricks", str(tmp_path)) == str(program)
    assert find_program("databricks", ".") is None
    assert find_program("databricks", "/nowhere") is None
