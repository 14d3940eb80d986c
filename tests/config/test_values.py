"""Secrets that stay secret, addresses, and the configuration shown to people."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.address import address_from, is_loopback
from ccr.config.interpolate import Interpolation, joined
from ccr.config.load import config_from_bytes
from ccr.config.masking import secrets_of_config
from ccr.config.model import Config, Secret
from ccr.config.parse import values_from_bytes, without_comments
from ccr.config.show import values_from_config, without_secrets

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_shows_nothing() -> None:
    secret = Secret("canary")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!s:>10}",
        str([secret]),
        str(Config(api_key=secret)),
    ]
    assert "canary" not in "".join(shown)
    assert repr(secret) == "***"
    assert secret.reveal() == "canary"


def test_a_secret_is_a_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.3.2.1", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1", "127.1", "xlocalhost"],  # noqa: S104 - never bound here
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("::1", "http://[::1]:1"), ("[::1]", "http://[::1]:1")],
)
def test_addresses(host: str, address: str) -> None:
    assert address_from(host, 1) == address


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ('{"a": 1, // x\n}', '{"a": 1       \n}'),
        ('{"u": "http://x/*y*/", }', '{"u": "http://x/*y*/"  }'),
        ("[1, /* a\nb */ 2,]", "[1,     \n     2 ]"),
        ('["\\"//", 1]', '["\\"//", 1]'),
    ],
)
def test_comments_are_blanked_in_place(text: str, blanked: str) -> None:
    found = without_comments(text)
    assert json.loads(found) == json.loads(blanked)
    assert len(found) == len(text)
    assert found.count("\n") == text.count("\n")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates cannot be in a file
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda values: st.lists(values) | st.dictionaries(TEXTS, values),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, JSON_VALUES), st.integers(0, 3))
def test_any_json_reads_the_same_with_comments_and_commas(value: dict[str, Any], indent: int) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    commented = '// a " /* \n' + text[:-1] + ("," if value else "") + " /* , } */ } // end"
    assert values_from_bytes(text.encode()) == value
    assert values_from_bytes(commented.encode()) == value


@given(st.text())
def test_any_text_can_be_written_with_doubled_dollars(text: str) -> None:
    interpolation = Interpolation({})
    assert interpolation.walk(text.replace("$", "$$")) == text
    assert interpolation.unset == {}


@pytest.mark.parametrize(
    "key",
    [
        "canary+api/key-W1cY4nTz8sLd",
        "dapi0123456789abcdef0123456789abcdef",
        "sk-ant-abcdefghijklmnopqrst",
        "Zx81kQwe",
        "A" * 40,
    ],
)
def test_a_secret_in_the_place_of_a_key_is_not_shown(key: str) -> None:
    assert joined("Providers[0]", key) == f"Providers[0].({len(key)} characters)"


@pytest.mark.parametrize(
    "key",
    [
        "Provders",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "databricks-claude-3-7-sonnet",
        "claude-3-5-sonnet-20241022",
        "system.ai.claude-opus-4-8",
        "qwen2.5-coder-32b-instruct",
        "gpt4o",
    ],
)
def test_the_names_of_keys_and_models_are_shown(key: str) -> None:
    assert joined("", key) == key


def test_the_shown_configuration_has_every_key_and_no_secret() -> None:
    written = {
        "APIKEY": "canary-1",
        "PROXY_URL": "http://u:canary-2@proxy:1",
        "transformers": [{"path": "/databricks.js", "options": {"debug": True}}],
        "Providers": [
            {
                "name": "p",
                "api_base_url": "https://h/x",
                "api_key": "canary-3",
                "models": ["m"],
                "transformer": {"use": [["a", {"apiKey": "canary-4", "n": 1}], "b"], "m": {"use": ["c"]}},
            }
        ],
        "StatusLine": {"list": [{"token": "canary-5"}, "dapi0123456789abcdef"]},
        "Router": {"default": "p,m", "think": "p,m"},
    }
    config = config_from_bytes(json.dumps(written).encode(), {})
    shown = values_from_config(config)
    text = json.dumps(shown)
    assert "canary" not in text
    assert "dapi0" not in text
    assert shown["APIKEY"] == shown["PROXY_URL"] == "***"
    assert shown["Providers"][0]["transformer"] == {
        "use": [["a", {"apiKey": "***", "n": 1}], "b"],
        "m": {"use": ["c"]},
    }
    assert shown["Router"] == {"default": "p,m", "think": "p,m"}
    assert (shown["PORT"], shown["API_TIMEOUT_MS"], shown["CLAUDE_PATH"]) == (3456, 600000, "")


def test_masking_leaves_its_argument_alone() -> None:
    value = {"password": "x", "list": ["y"], "empty_key": ""}
    assert without_secrets(value) == {"password": "***", "list": ["y"], "empty_key": ""}
    assert value["password"] == "x"


def test_a_secret_in_a_url_is_not_shown() -> None:
    provider = {"name": "p", "api_base_url": "https://h/x?v=1&key=canary", "api_key": "k", "models": ["m"]}
    values = {"Providers": [provider], "Router": {"default": "p,m"}}
    config = config_from_bytes(json.dumps(values).encode(), {})
    assert config.providers[0].url == "https://h/x?v=1&key=canary"
    assert values_from_config(config)["Providers"][0]["api_base_url"] == "https://h/x?v=1&key=***"


def test_secrets_in_options_of_transformers_are_known(tmp_path: Path) -> None:
    file = tmp_path / "t.js"
    file.touch()
    use = [["customparams", {"a": {"api_keys": ["canary-1", 3]}, "max_tokens": "4096", "token": "canary-2"}]]
    provider = {
        "name": "p",
        "api_base_url": "https://h/x",
        "api_key": "canary-3",
        "models": ["m"],
        "transformer": {"use": use, "m": {"use": [["customparams", {"Authorization": "canary-4"}]]}},
    }
    values = {
        "Providers": [provider],
        "Router": {"default": "p,m"},
        "transformers": [{"path": str(file), "options": {"clientSecret": "canary-5", "note": "open"}}],
    }
    config = config_from_bytes(json.dumps(values).encode(), {})
    known = {secret.reveal() for secret in secrets_of_config(config)}
    assert known == {f"canary-{number}" for number in range(1, 6)}
