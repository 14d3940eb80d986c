"""The way to the providers: what config.json and the environment say about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from ccr.config.load import config_from_bytes
from ccr.config.model import DIRECT, Config, Network, Secret, Timeouts
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROVIDER = {
    "name": "p",
    "api_base_url": "https://host.test/v1/chat/completions",
    "api_key": "first",
    "models": ["m"],
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n"


def load(
    provider: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **keys: Any
) -> Config:
    values = {"Providers": [{**PROVIDER, **(provider or {})}], "Router": {"default": "p,m"}, **keys}
    return config_from_bytes(json.dumps(values).encode(), environ or {})


def problem(provider: Mapping[str, Any] | None = None, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(provider, **arguments)
    (found,) = caught.value.problems
    assert "canary" not in str(caught.value)
    return found.key, found.found


def test_nothing_said() -> None:
    config = load()
    assert config.providers[0].network == Network()
    assert (config.proxy_url, config.no_proxy, config.ca_files) == (None, (), ())


def test_everything_said() -> None:
    given = {
        "timeouts": {"connect": 2, "first_byte": "30.5", "idle": 0.5},
        "proxy": "socks5h://u:p@proxy.test:1080",
        "max_concurrent": 4,
        "max_queued": 8,
        "retries": 0,
        "pool": "claude",
        "recover": True,
    }
    config = load(given)
    assert config.providers[0].network == Network(
        timeouts=Timeouts(connect_s=2, first_byte_s=30.5, idle_s=0.5),
        proxy=Secret("socks5h://u:p@proxy.test:1080"),
        max_concurrent=4,
        max_queued=8,
        retries=0,
        pool="claude",
        recover=True,
    )
    assert not config.warnings
    shown = values_from_config(config)["Providers"][0]
    assert shown["proxy"] == "***"
    assert shown["timeouts"] == {"connect": 2, "first_byte": 30.5, "idle": 0.5}
    assert shown["pool"] == "claude"


@pytest.mark.parametrize(
    ("given", "first", "others"),
    [
        ({"api_keys": ["second", "third"]}, "first", ("second", "third")),
        ({"api_key": ["a", "b", "b"]}, "a", ("b",)),
        ({"api_key": None, "api_keys": ["a", "b"]}, "a", ("b",)),
        ({"api_key": ["a"]}, "a", ()),
        ({"api_keys": []}, "first", ()),
    ],
)
def test_several_keys(given: Mapping[str, Any], first: str, others: tuple[str, ...]) -> None:
    config = load(given)
    (provider,) = config.providers
    assert provider.api_key == Secret(first)
    assert provider.more_keys == tuple(Secret(key) for key in others)
    assert first not in str(values_from_config(config)["Providers"][0].get("api_keys"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"api_keys": ["a", 5]}, ("Providers[0].api_keys[1]", "a number")),
        ({"api_keys": "canary"}, ("Providers[0].api_keys", "a text")),
        ({"api_key": ["a"], "api_keys": ["b"]}, ("Providers[0].api_keys", "a second list of keys")),
        ({"timeouts": {"idle": 0}}, ("Providers[0].timeouts.idle", "0")),
        ({"timeouts": {"idle": "soon"}}, ("Providers[0].timeouts.idle", "'soon'")),
        ({"timeouts": {"connect": True}}, ("Providers[0].timeouts.connect", "true")),
        ({"timeouts": 5}, ("Providers[0].timeouts", "a number")),
        ({"proxy": "ftp://canary@h:1"}, ("Providers[0].proxy", "a text that is no URL of a proxy")),
        ({"proxy": "http://[canary"}, ("Providers[0].proxy", "a text that is no URL of a proxy")),
        ({"ca_file": "/nowhere/ca.pem"}, ("Providers[0].ca_file", "a file that is not there")),
        ({"ca_file": "/"}, ("Providers[0].ca_file", "a file without certificates")),
        ({"retries": 3}, ("Providers[0].retries", "3")),
        ({"recover": "yes"}, ("Providers[0].recover", "'yes'")),
    ],
)
def test_problems(given: Mapping[str, Any], expected: tuple[str, str]) -> None:
    key, found = problem(given)
    assert key == expected[0]
    assert expected[1] in found or "cannot be read" in found


def test_an_unknown_timeout_is_a_warning() -> None:
    assert "timeouts.total" in load({"timeouts": {"total": 5}}).warnings[0]


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("env", {"HTTPS_PROXY": " http://e.test:1 ", "ALL_PROXY": "http://x:1"}, Secret("http://e.test:1")),
        ("env", {"all_proxy": "socks5://e.test:1"}, Secret("socks5://e.test:1")),
        ("env", {"HTTP_PROXY": "http://e.test:1"}, DIRECT),
        ("none", {"HTTPS_PROXY": "http://e.test:1"}, DIRECT),
        ("direct", {}, DIRECT),
        ("https://u@h.test", {}, Secret("https://u@h.test")),
        ("", {"HTTPS_PROXY": "http://e.test:1"}, None),
    ],
)
def test_a_proxy(given: str, environ: Mapping[str, str], expected: object) -> None:
    assert load({"proxy": given}, environ).providers[0].network.proxy == expected
    everywhere = load(None, environ, PROXY_URL=given).proxy_url
    assert everywhere == (None if expected == DIRECT else expected)


def test_a_proxy_of_the_environment_that_is_none() -> None:
    key, found = problem(None, environ={"HTTPS_PROXY": "canary"}, PROXY_URL="env")
    assert (key, found) == ("PROXY_URL", "a text that is no URL of a proxy (from the environment)")


def test_hosts_without_a_proxy() -> None:
    environ = {"NO_PROXY": "b.test, c.test", "no_proxy": "d.test"}
    assert load(None, environ, NO_PROXY="a.test,b.test").no_proxy == ("a.test", "b.test", "c.test")
    assert load(None, {"no_proxy": "d.test"}).no_proxy == ("d.test",)


def test_certificates(tmp_path: Path) -> None:
    good = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(good))
    bad = tmp_path / "bad.pem"
    bad.write_text(CERTIFICATE)
    config = load({"ca_file": str(good)}, {"NODE_EXTRA_CA_CERTS": str(good)}, CA_FILE=str(good))
    assert config.ca_files == (str(good),)
    assert config.providers[0].network.ca_file == str(good)
    assert problem(None, CA_FILE=str(bad)) == ("CA_FILE", "a file without certificates")
    config = load(None, {"NODE_EXTRA_CA_CERTS": str(bad)})
    assert config.ca_files == ()
    assert "NODE_EXTRA_CA_CERTS" in config.warnings[0]
