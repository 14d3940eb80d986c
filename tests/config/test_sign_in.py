"""Providers without a key of their own: what they mean, and the ways to contradict oneself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import Config, Provider, Secret, SignIn
from ccr.config.show import values_from_config
from ccr.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://dbc-1.cloud.databricks.com"
URL = f"{HOST}/serving-endpoints/m/invocations"
PROFILES = f"""
[DEFAULT]
host = {HOST}
token = canary-of-a-profile

[work]
host = dbc-2.cloud.databricks.com/

[hostless]
token = canary-of-a-profile
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".databrickscfg").write_text(PROFILES)
    return {"HOME": str(tmp_path), "SECRET": "canary-secret", "APP_HOST": "dbc-3.cloud.databricks.com"}


def load(environ: dict[str, str], **provider: Any) -> Config:
    written = {
        "Providers": [{"name": "p", "models": ["m"], **provider}],
        "Router": {"default": "p,m"},
    }
    return config_from_bytes(json.dumps(written).encode(), environ)


def provider_of(environ: dict[str, str], **provider: Any) -> Provider:
    return load(environ, **provider).providers[0]


def problems(environ: dict[str, str], **provider: Any) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        load(environ, **provider)
    assert "canary" not in str(caught.value)
    return {problem.key.removeprefix("Providers[0]."): problem for problem in caught.value.problems}


@pytest.mark.parametrize("api_key", [{}, {"api_key": None}, {"api_key": "auto"}, {"api_key": " AUTO "}])
@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{HOST}/serving-endpoints/chat/completions",
        f"{HOST}/ai-gateway/anthropic/v1/messages",
        "http://127.0.0.1:1/serving-endpoints/m/invocations",
    ],
)
def test_a_workspace_needs_no_key(environ: dict[str, str], url: str, api_key: dict[str, Any]) -> None:
    provider = provider_of(environ, api_base_url=url, **api_key)
    assert (provider.url, provider.api_key) == (url, None)
    assert provider.sign_in == SignIn(path="Providers[0]")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/x/serving-endpoints-of-mine"])
def test_an_upstream_on_this_machine_may_ask_for_nothing(environ: dict[str, str], path: str) -> None:
    provider = provider_of(environ, api_base_url=f"http://localhost:1{path}")
    assert (provider.api_key, provider.sign_in) == (None, None)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ({"host": HOST}, HOST),
        ({"host": "dbc-1.cloud.databricks.com"}, HOST),
        ({"host": f"{HOST}/?o=123"}, HOST),
        ({"host": "$APP_HOST"}, "https://dbc-3.cloud.databricks.com"),
        ({"host": "http://127.0.0.1:8"}, "http://127.0.0.1:8"),
        ({"profile": "DEFAULT"}, HOST),
        ({"profile": "work"}, "https://dbc-2.cloud.databricks.com"),
        ({"profile": "work", "host": HOST}, HOST),
        ({"profile": "work", "api_base_url": ""}, "https://dbc-2.cloud.databricks.com"),
    ],
)
def test_the_url_is_made_of_the_workspace(environ: dict[str, str], written: Any, host: str) -> None:
    provider = provider_of(environ, **written)
    assert provider.url == f"{host}/serving-endpoints/m/invocations"
    assert provider.sign_in is not None
    assert provider.sign_in.profile == written.get("profile")


def test_a_model_s_name_is_quoted_in_the_url(environ: dict[str, str]) -> None:
    written = {
        "Providers": [{"name": "p", "models": ["a/b c"], "host": HOST}],
        "Router": {"default": "p,a/b c"},
    }
    config = config_from_bytes(json.dumps(written).encode(), environ)
    assert config.providers[0].url == f"{HOST}/serving-endpoints/a%2Fb%20c/invocations"


def test_host_beside_a_key_saves_the_url_only(environ: dict[str, str]) -> None:
    provider = provider_of(environ, host=HOST, api_key="k")
    assert (provider.url, provider.api_key, provider.sign_in) == (URL, Secret("k"), None)
    config = load(environ, host=HOST, api_key="k", api_base_url=URL)
    assert config.warnings == (
        "config.json: Providers[0].host has no effect beside api_key and api_base_url",
    )


def test_everything_a_provider_may_say(environ: dict[str, str]) -> None:
    provider = provider_of(
        environ, host=HOST, client_id="id-1", client_secret="$SECRET", auth_type="oauth-m2m", cli_path="/db"
    )
    assert provider.sign_in == SignIn(
        path="Providers[0]",
        host=HOST,
        client_id="id-1",
        client_secret=Secret("canary-secret"),
        auth_type="oauth-m2m",
        cli_path="/db",
    )
    assert "canary" not in repr(provider)


@pytest.mark.parametrize(
    "written",
    [
        {"on_behalf_of_user": True},
        {"on_behalf_of_user": "true"},
        {"auth_type": "On-Behalf-Of-User"},
        {"on_behalf_of_user": True, "auth_type": "on-behalf-of-user"},
    ],
)
def test_the_user_of_each_request(environ: dict[str, str], written: Any) -> None:
    said = provider_of(environ, api_base_url=URL, **written).sign_in
    assert said == SignIn(path="Providers[0]", on_behalf_of_user=True)


@pytest.mark.parametrize("written", [{"on_behalf_of_user": False}, {"profile": ""}, {"auth_type": "pat"}])
def test_what_says_nothing_contradicts_no_key(environ: dict[str, str], written: Any) -> None:
    provider = provider_of(environ, api_base_url=URL, api_key="k", **written)
    assert (provider.api_key, provider.sign_in) == (Secret("k"), None)


@pytest.mark.parametrize(
    ("written", "key", "found", "allowed"),
    [
        ({"api_key": "canary", "client_id": "i"}, "api_key", "a key beside client_id: two ways", '"auto"'),
        ({"api_key": "canary", "profile": "work"}, "api_key", "a key beside profile", '"auto" takes profile'),
        (
            {"api_key": "canary", "auth_type": "oauth-m2m", "client_secret": "canary"},
            "api_key",
            "a key beside client_secret, auth_type",
            "one of them",
        ),
        ({"api_key": "canary", "on_behalf_of_user": True}, "api_key", "beside on_behalf_of_user", "one of"),
        ({"api_key": "canary", "auth_type": ["canary"]}, "auth_type", "a list", "a text"),
        ({"api_key": " "}, "api_key", "an empty text", '"auto" for a Databricks workspace'),
        ({"api_key": 5}, "api_key", "a number", "the key itself"),
        ({"profile": "work", "client_id": "i"}, "profile", "a profile beside client_id", "auth_type saying"),
        (
            {"on_behalf_of_user": True, "client_id": "i", "client_secret": "canary"},
            "on_behalf_of_user",
            "the user of each request beside client_id, client_secret",
            "one of them",
        ),
        ({"on_behalf_of_user": True, "auth_type": "pat"}, "on_behalf_of_user", "beside auth_type", "one"),
        ({"profile": "work", "auth_type": "on-behalf-of-user"}, "auth_type", "beside profile", "one of them"),
        ({"on_behalf_of_user": "maybe"}, "on_behalf_of_user", "'maybe'", "true or false"),
        ({"client_id": 5}, "client_id", "a number", "a text"),
        ({"client_secret": ["canary"]}, "client_secret", "a list", "a text"),
        ({"client_secret": "canary canary"}, "client_secret", "a text with spaces", "one word"),
        ({"auth_type": {}}, "auth_type", "an empty object", "a text"),
        ({"profile": 7}, "profile", "a number", "a text"),
        ({"host": 7}, "host", "a number", "the workspace's host"),
        ({"host": "https://u:canary@h"}, "host", "not the URL of a workspace", "the workspace's host"),
        ({"host": "http://dbc-1.cloud.databricks.com"}, "host", "in the clear", "the workspace's host"),
        ({"api_base_url": 7, "host": HOST}, "api_base_url", "a number", "a text"),
    ],
)
def test_contradictions(environ: dict[str, str], written: Any, key: str, found: str, allowed: str) -> None:
    every = problems(environ, **{"api_base_url": URL, **written})
    assert list(every) == [key]
    assert found in every[key].found
    assert allowed in every[key].allowed


@pytest.mark.parametrize(
    ("written", "key", "found", "allowed"),
    [
        ({}, "api_base_url", "nothing", "or `host` or `profile` of a Databricks workspace"),
        ({"api_key": "auto"}, "api_base_url", "nothing", "full https URL"),
        ({"profile": "nope"}, "profile", "in ~/.databrickscfg [nope] no such profile", "DEFAULT, work"),
        ({"profile": "hostless"}, "profile", "a profile that names no host", "`host` beside it"),
        ({"profile": 7}, "profile", "a number", "a text"),
        ({"host": "canary@x"}, "host", "not the URL", "like https://"),
        ({"host": HOST, "models": []}, "models", "an empty list", "at least one model"),
    ],
)
def test_no_url_to_be_made(environ: dict[str, str], written: Any, key: str, found: str, allowed: str) -> None:
    every = problems(environ, **written)
    every.pop("Router.default", None)
    assert list(every) == [key]
    assert found in every[key].found
    assert allowed in every[key].allowed


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ({}, ["api_key"]),
        ({"api_key": "auto"}, ["api_key"]),
        ({"api_key": "auto", "client_id": "i"}, ["client_id", "api_key"]),
        ({"profile": "work", "on_behalf_of_user": True}, ["profile", "on_behalf_of_user", "api_key"]),
    ],
)
def test_what_is_no_workspace_needs_its_key(environ: dict[str, str], written: Any, keys: list[str]) -> None:
    every = problems(environ, api_base_url="https://llm.example.com/v1/chat/completions", **written)
    assert list(every) == keys
    assert '"auto" for a Databricks workspace' in every["api_key"].allowed


def test_a_host_makes_any_url_a_workspace_s(environ: dict[str, str]) -> None:
    url = "https://gateway.example.com/llm"
    provider = provider_of(environ, api_base_url=url, host=HOST)
    assert provider.url == url
    assert provider.sign_in == SignIn(path="Providers[0]", host=HOST)


def test_no_file_of_profiles(tmp_path: Path) -> None:
    every = problems({"HOME": str(tmp_path)}, profile="work")
    assert "databricks auth login" in every["profile"].allowed


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ({"host": HOST}, {"api_key": "auto", "host": HOST}),
        (
            {"host": HOST, "client_id": "i", "client_secret": "canary", "auth_type": "oauth-m2m"},
            {
                "api_key": "auto",
                "host": HOST,
                "client_id": "i",
                "client_secret": "***",
                "auth_type": "oauth-m2m",
            },
        ),
        ({"profile": "work"}, {"api_key": "auto", "profile": "work"}),
        (
            {"host": HOST, "on_behalf_of_user": True},
            {"api_key": "auto", "host": HOST, "on_behalf_of_user": True},
        ),
        ({"host": HOST, "api_key": "canary"}, {"api_key": "***"}),
    ],
)
def test_the_shown_configuration(environ: dict[str, str], written: Any, shown: dict[str, Any]) -> None:
    provider = values_from_config(load(environ, **written))["Providers"][0]
    others = {"name", "api_base_url", "api", "models", "transformer", "fetch_images", "max_payload_bytes"}
    assert {key: value for key, value in provider.items() if key not in others} == shown
    again = config_from_bytes(
        json.dumps({"Providers": [provider], "Router": {"default": "p,m"}}).encode(), environ
    )
    assert again.providers[0].url == load(environ, **written).providers[0].url
