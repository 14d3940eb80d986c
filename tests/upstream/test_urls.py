from __future__ import annotations

import pytest

from ccr.config.model import Provider
from ccr.upstream.urls import host_of, is_local, messages_url_of, url_of

BASE = "https://adb.example.test/serving-endpoints"


def provider(url: str, *models: str) -> Provider:
    return Provider(name="p", url=url, api_key=None, models=models)


@pytest.mark.parametrize(
    ("url", "models", "model", "expected"),
    [
        # the only model: the URL is right as it stands, whatever the endpoint is called
        (f"{BASE}/my-endpoint/invocations", ("m",), "m", f"{BASE}/my-endpoint/invocations"),
        (f"{BASE}/a/invocations", ("a", "b"), "a", f"{BASE}/a/invocations"),
        (f"{BASE}/a/invocations", ("a", "b"), "b", f"{BASE}/b/invocations"),
        (f"{BASE}/a/invocations/", ("a", "b"), "b", f"{BASE}/b/invocations/"),
        (f"{BASE}/a/invocations?x=1", ("a", "b"), "b", f"{BASE}/b/invocations?x=1"),
        (f"{BASE}/a/invocations", ("a", "x/../y"), "x/../y", f"{BASE}/x%2F..%2Fy/invocations"),
        # not one endpoint's: the body's `model` decides
        (f"{BASE}/chat/completions", ("a", "b"), "b", f"{BASE}/chat/completions"),
        ("https://x.test/v1/chat/completions", ("a", "b"), "b", "https://x.test/v1/chat/completions"),
        (
            f"{BASE}/a/served-models/m/invocations",
            ("a", "b"),
            "b",
            f"{BASE}/a/served-models/m/invocations",
        ),
    ],
)
def test_the_url_serves_the_model(url: str, models: tuple[str, ...], model: str, expected: str) -> None:
    assert url_of(provider(url, *models), model) == expected


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        (f"{BASE}/a/invocations", "new", f"{BASE}/new/invocations"),
        (f"{BASE}/chat/completions", "new", f"{BASE}/chat/completions"),
        (
            f"{BASE}/a/invocations",
            "system.ai.new",
            "https://adb.example.test/ai-gateway/mlflow/v1/chat/completions",
        ),
        (f"{BASE}/anthropic/v1/messages", "new", f"{BASE}/chat/completions"),
    ],
)
def test_a_discovered_model_has_its_own_url_beside_an_only_one(url: str, model: str, expected: str) -> None:
    assert url_of(provider(url, "a"), model) == expected


WORKSPACE = "https://adb.example.test"
CHAT = "/serving-endpoints/chat/completions"
SERVING, GATEWAY = "/serving-endpoints/anthropic/v1/messages", "/ai-gateway/anthropic/v1/messages"


@pytest.mark.parametrize(
    ("path", "model", "messages", "chat"),
    [
        ("/serving-endpoints/a/invocations", "a", SERVING, "/serving-endpoints/a/invocations"),
        ("/serving-endpoints/a/invocations?x=1", "a", SERVING, "/serving-endpoints/a/invocations?x=1"),
        (CHAT, "a", SERVING, CHAT),
        (
            "/serving-endpoints/chat/completions",
            "system.ai.a",
            GATEWAY,
            "/serving-endpoints/chat/completions",
        ),
        (SERVING, "a", SERVING, CHAT),
        (SERVING + "?beta=true", "a", SERVING + "?beta=true", CHAT),
        (SERVING, "System.AI.a", GATEWAY, "/ai-gateway/mlflow/v1/chat/completions"),
        ("/serving-endpoints/anthropic", "a", SERVING, CHAT),
        (GATEWAY, "a", GATEWAY, "/ai-gateway/mlflow/v1/chat/completions"),
        ("/ai-gateway/anthropic/v1/", "a", GATEWAY, "/ai-gateway/mlflow/v1/chat/completions"),
        ("/ai-gateway/mlflow/v1/chat/completions", "a", GATEWAY, "/ai-gateway/mlflow/v1/chat/completions"),
        (
            "/below/serving-endpoints/anthropic",
            "a",
            "/below" + SERVING,
            "/below/serving-endpoints/chat/completions",
        ),
        ("/v1/messages?x=1", "system.ai.a", "/v1/messages?x=1", None),
    ],
)
def test_a_workspace_has_two_dialects(path: str, model: str, messages: str, chat: str | None) -> None:
    found = provider(WORKSPACE + path, model)
    assert messages_url_of(found, model) == WORKSPACE + messages
    assert url_of(found, model) == ("" if chat is None else WORKSPACE + chat)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("http://LOCALHOST/x", True),
        ("http://[::1]:1/", True),
        ("https://127.0.0.1.evil.test/", False),
        ("nonsense", False),
    ],
)
def test_this_machine_is_recognised(url: str, expected: bool) -> None:
    assert is_local(url) is expected


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://adb.example.test/x", "adb.example.test"),
        ("http://user:secret@127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("nonsense", "?"),
    ],
)
def test_a_host_is_shown_without_path_and_credentials(url: str, host: str) -> None:
    assert host_of(url) == host
