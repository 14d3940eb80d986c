"""``tokenizer`` of a provider: both forms, every fault with its place, and no secret shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config import tokenizers
from ccr.config.load import config_from_bytes
from ccr.config.masking import secrets_of_config
from ccr.config.model import Secret
from ccr.config.show import values_from_config
from ccr.config.tokenizers import Tokenizer, TokenizerApi
from ccr.errors import ConfigError
from ccr.presets.export import exported

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

URL = "https://count.example/v1/tokenize"
API = {"type": "api", "url": URL, "apiKey": "canary-key", "headers": {"X-Team": "canary-team"}}
AT = "Providers[0].tokenizer"


def provider(tokenizer: Any) -> dict[str, Any]:
    return {
        "name": "local",
        "api_base_url": "http://127.0.0.1:9/v1/chat/completions",
        "models": ["m", "n"],
        "tokenizer": tokenizer,
    }


def loaded(folder: Path, tokenizer: Any) -> Config:
    values = {"Providers": [provider(tokenizer)], "Router": {"default": "local,m"}}
    return config_from_bytes(json.dumps(values).encode(), {}, file=str(folder / "config.json"))


def problems(folder: Path, tokenizer: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, tokenizer)
    assert "canary" not in str(caught.value)
    return {problem.key: problem.found for problem in caught.value.problems}


def test_the_short_form(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"type": "tiktoken"})
    found = {"": Tokenizer(kind="tiktoken", name="cl100k_base", folder=tmp_path)}
    assert config.providers[0].tokenizers == found
    assert config.warnings == ()
    shown = values_from_config(config)["Providers"][0]["tokenizer"]
    assert shown == {"default": {"type": "tiktoken", "encoding": "cl100k_base"}}
    assert loaded(tmp_path, shown).providers[0].tokenizers == found


@pytest.mark.parametrize("nothing", [None, {}, {"default": {}}, {"default": None, "models": {}}])
def test_none(tmp_path: Path, nothing: Any) -> None:
    config = loaded(tmp_path, nothing)
    assert config.providers[0].tokenizers == {}
    assert "tokenizer" not in values_from_config(config)["Providers"][0]


def test_default_and_models(tmp_path: Path) -> None:
    model = {"type": "huggingface", "model": "Qwen/Qwen2.5-Coder", "fallback": "tiktoken", "encoding": "gpt2"}
    config = loaded(
        tmp_path, {"default": {**API, "fallback": "huggingface", "model": "a/b"}, "models": {"n": model}}
    )
    gpt2 = Tokenizer(kind="tiktoken", name="gpt2", folder=tmp_path)
    assert config.providers[0].tokenizers == {
        "": Tokenizer(
            kind="api",
            api=TokenizerApi(url=URL, key=Secret("canary-key"), headers=(("X-Team", Secret("canary-team")),)),
            folder=tmp_path,
            fallback=Tokenizer(kind="huggingface", name="a/b", folder=tmp_path),
        ),
        "n": Tokenizer(kind="huggingface", name="Qwen/Qwen2.5-Coder", folder=tmp_path, fallback=gpt2),
    }
    assert {Secret("canary-key"), Secret("canary-team")} <= set(secrets_of_config(config))
    shown = values_from_config(config)["Providers"][0]["tokenizer"]
    assert "canary" not in json.dumps(shown) + repr(config)
    assert shown["default"]["apiKey"] == shown["default"]["headers"]["X-Team"] == "***"
    assert shown["models"] == {"n": model}
    assert (shown["default"]["fallback"], shown["default"]["model"]) == ("huggingface", "a/b")


def test_every_option_of_a_service(tmp_path: Path) -> None:
    written = {"type": "API", "url": URL, "requestFormat": "anthropic", "responseField": "usage.input_tokens"}
    found = loaded(tmp_path, written).providers[0].tokenizers[""].api
    assert found == TokenizerApi(url=URL, format="anthropic", field=("usage", "input_tokens"))
    assert values_from_config(loaded(tmp_path, written))["Providers"][0]["tokenizer"]["default"] == {
        **written,
        "type": "api",
        "apiKey": "",
        "headers": {},
    }


@pytest.mark.parametrize(
    ("written", "warning"),
    [
        ({"type": "tiktoken", "encodng": "x"}, f"{AT}.encodng is not known and has no effect; did you mean"),
        ({"default": {"type": "tiktoken"}, "x": 1}, f"{AT}.x is not known and has no effect"),
        ({"models": {"o": {"type": "tiktoken"}}}, f"{AT}.models.o is not known and has no effect"),
    ],
)
def test_warnings(tmp_path: Path, written: Any, warning: str) -> None:
    assert any(warning in sentence for sentence in loaded(tmp_path, written).warnings)


@pytest.mark.parametrize(
    ("written", "library"),
    [
        ({"type": "tiktoken"}, "tiktoken"),
        ({"default": {"type": "huggingface", "model": "a/b"}}, "tokenizers"),
        ({**API, "fallback": "tiktoken"}, "tiktoken"),
    ],
)
def test_the_extra_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Any, library: str
) -> None:
    """It must not stop the start: the npm router brings them all."""
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: None)
    config = loaded(tmp_path, written)
    (warning,) = config.warnings
    assert f'needs {library}: pip install "ccr-proxy[tokenizers]"; until it is there' in warning
    assert config.providers[0].tokenizers


@pytest.mark.parametrize(
    ("written", "key", "found"),
    [
        ("tiktoken", AT, "a text"),
        ({"type": "sentencepiece"}, f"{AT}.type", "'sentencepiece'"),
        ({"default": {"encoding": "cl100k_base"}}, f"{AT}.default.type", "nothing"),
        ({"models": ["m"]}, f"{AT}.models", "a list"),
        ({"models": {"m": "tiktoken"}}, f"{AT}.models.m", "a text"),
        ({"type": "tiktoken", "encoding": "cl200k"}, f"{AT}.encoding", "'cl200k'"),
        ({"type": "tiktoken", "fallback": "none"}, f"{AT}.fallback", "'none'"),
        ({"type": "huggingface"}, f"{AT}.model", "nothing"),
        ({"type": "huggingface", "model": "../../etc"}, f"{AT}.model", "'../../etc'"),
        ({"type": "huggingface", "model": "a/b/c"}, f"{AT}.model", "'a/b/c'"),
        ({"type": "api"}, f"{AT}.url", "nothing"),
        ({"type": "api", "url": "http://canary.example/x"}, f"{AT}.url", "http to another machine"),
        ({**API, "apiKey": "canary two"}, f"{AT}.apiKey", None),
        ({**API, "requestFormat": "xml"}, f"{AT}.requestFormat", "'xml'"),
        ({**API, "responseField": "a..b"}, f"{AT}.responseField", "'a..b'"),
        ({**API, "headers": {"a b": "canary"}}, f"{AT}.headers.a b", None),
        ({**API, "fallback": "huggingface"}, f"{AT}.model", "nothing"),
    ],
)
def test_every_fault_with_its_place(tmp_path: Path, written: Any, key: str, found: str | None) -> None:
    said = problems(tmp_path, written)
    assert key in said, said
    assert found is None or said[key] == found


def test_all_faults_at_once(tmp_path: Path) -> None:
    written = {"default": {"type": "x"}, "models": {"m": {"type": "huggingface"}, "n": {"type": "api"}}}
    assert set(problems(tmp_path, written)) == {
        f"{AT}.default.type",
        f"{AT}.models.m.model",
        f"{AT}.models.n.url",
    }


def test_an_exported_preset_has_no_secret_of_it() -> None:
    tokenizer = {"default": {**API, "headers": {"X-Team": "canary-team", "X-Open": "$TEAM", "X-No": None}}}
    document = {"Providers": [provider(tokenizer)], "plugins": [{"options": {"auth": "canary"}}]}
    manifest, asked, left_out = exported(document, {})
    assert "canary" not in json.dumps(manifest)
    assert left_out == ["plugins"]
    assert asked == ["local_apiKey", "local_X_Team"]
    kept = manifest["template"]["Providers"][0]["tokenizer"]["default"]
    assert kept["headers"] == {"X-Team": "#{local_X_Team}", "X-Open": "$TEAM", "X-No": None}
