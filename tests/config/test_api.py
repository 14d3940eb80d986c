from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from ccr.config.model import Config

BASE = "https://adb.example.test"
CHAT = f"{BASE}/serving-endpoints/a/invocations"
SERVING = f"{BASE}/serving-endpoints/anthropic/v1/messages"
GATEWAY = f"{BASE}/ai-gateway/anthropic/v1/messages"


def load(url: str, **changes: Any) -> Config:
    provider = {"name": "p", "api_base_url": url, "api_key": "k", "models": ["a"], **changes}
    return config_from_bytes(
        json.dumps({"Providers": [provider], "Router": {"default": "p,a"}}).encode(), environ={}
    )


@pytest.mark.parametrize(
    ("url", "written", "api"),
    [
        (CHAT, None, "chat"),
        (f"{BASE}/serving-endpoints/chat/completions", None, "chat"),
        ("https://x.test/v1/chat/completions", None, "chat"),
        (SERVING, None, "anthropic"),
        (GATEWAY + "?beta=true", None, "anthropic"),
        (f"{BASE}/serving-endpoints/anthropic", None, "anthropic"),
        (f"{BASE}/ai-gateway/anthropic/v1/", None, "anthropic"),
        ("https://x.test/v1/messages", None, "anthropic"),
        (CHAT, "anthropic", "anthropic"),
        (CHAT, "AUTO", "auto"),
        (SERVING, "auto", "auto"),
        (GATEWAY, "auto", "auto"),
        (f"{BASE}/ai-gateway/mlflow/v1/chat/completions", "auto", "auto"),
        (f"{BASE}/serving-endpoints/anthropic/invocations", None, "chat"),
    ],
)
def test_the_dialect_is_the_urls_unless_it_is_written(url: str, written: str | None, api: str) -> None:
    config = load(url, api=written)
    assert config.providers[0].api == api
    assert config.warnings == ()
    assert values_from_config(config)["Providers"][0]["api"] == api


@pytest.mark.parametrize(
    ("url", "written", "said"),
    [
        (SERVING, "chat", "chat, with the URL of a Messages API"),
        ("https://x.test/v1/messages", "auto", "auto, with a URL that is not Databricks'"),
        ("https://x.test/v1/chat/completions", "auto", "auto, with a URL that is not Databricks'"),
        ("https://x.test/v1/chat/completions", "anthropic", "anthropic, with the URL of a chat endpoint"),
        (CHAT, "native", "'native'; allowed: one of chat, anthropic, auto"),
    ],
)
def test_what_does_not_fit_the_url_is_a_problem(url: str, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(url, api=written)
    assert [(problem.key, said in str(problem)) for problem in caught.value.problems] == [
        ("Providers[0].api", True)
    ]


def test_a_wrong_url_is_one_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        load("nonsense", api="auto")
    assert [problem.key for problem in caught.value.problems] == ["Providers[0].api_base_url"]


def test_steps_of_the_chat_route_are_named() -> None:
    strip = ["databricks-custom", {"cache_control": "strip"}]
    plain = {"use": ["OpenAI", "databricks-custom"]}
    assert load(SERVING, transformer=plain).warnings == ()
    assert load(CHAT, transformer={"use": [strip]}).warnings == ()
    for api, where in (("anthropic", "anywhere"), ("auto", "where the native route is taken")):
        config = load(SERVING, api=api, transformer={"use": [strip, "other"], "a": {"use": ["other"]}})
        assert config.warnings == tuple(
            f"config.json: Providers[0].transformer names {name}, which works on chat requests: "
            f"with api {api} it has no effect {where}"
            for name in ("databricks-custom", "other")
        )
