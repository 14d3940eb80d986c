"""``plugins``: where the speed of answers goes, every fault with its place, and no secret shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.masking import secrets_of_config
from ccr.config.model import Secret
from ccr.config.show import values_from_config
from ccr.config.speed import SpeedFiles, TokenSpeed
from ccr.config.webhook import Webhook
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

PROVIDER = {"name": "local", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["m"]}
URL = "https://hooks.example/services/T0/canary-of-the-path"


def loaded(folder: Path, *plugins: Any, key: str = "plugins") -> Config:
    values = {"Providers": [PROVIDER], "Router": {"default": "local,m"}, key: list(plugins)}
    return config_from_bytes(json.dumps(values).encode(), {}, file=str(folder / "config.json"))


def plugin(options: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": "token-speed", "enabled": True, "options": options, **more}


def handler(kind: str, **config: Any) -> dict[str, Any]:
    return plugin({"outputHandlers": [{"type": kind, "config": config}]})


def problems(folder: Path, *plugins: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, *plugins)
    text = str(caught.value)
    assert "canary" not in text
    return {problem.key: problem.found for problem in caught.value.problems}


def speed(folder: Path, options: Any = None, **more: Any) -> TokenSpeed:
    config = loaded(folder, plugin(options, **more))
    assert config.speed is not None
    return config.speed


@pytest.mark.parametrize("key", ["plugins", "Plugins"])
def test_console_and_file_where_nothing_else_is_said(tmp_path: Path, key: str) -> None:
    config = loaded(tmp_path, plugin(), key=key)
    assert config.warnings == ()
    assert config.speed == TokenSpeed(console="log", files=SpeedFiles(folder=tmp_path / "token-speed"))


@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        ({"outputHandlers": ["console"]}, (True, False, False)),
        ({"outputHandlers": [{"type": "temp-file"}]}, (False, True, False)),
        ({"outputHandlers": ["console", {"type": "temp-file", "enabled": False}]}, (True, False, False)),
        ({"reporter": "temp-file"}, (False, True, False)),
        ({"reporter": []}, (False, False, False)),
        ({"reporter": ["webhook"]}, (False, False, False)),
        (
            {"reporter": ["webhook"], "outputHandlers": [{"type": "webhook", "config": {"url": URL}}]},
            (False, False, True),
        ),
        ({"outputHandlers": [{"type": "webhook", "config": {"url": URL}}]}, (False, False, True)),
    ],
)
def test_which_outputs_there_are(tmp_path: Path, options: Any, outputs: tuple[bool, ...]) -> None:
    found = speed(tmp_path, options)
    assert tuple(each is not None for each in (found.console, found.files, found.webhook)) == outputs


def test_every_option_of_the_outputs(tmp_path: Path) -> None:
    files = {"subdirectory": "a/b", "extension": ".txt", "includeTimestamp": "true", "prefix": "speed"}
    webhook = {
        "url": URL,
        "method": "put",
        "headers": {"X-Team": "a b"},
        "auth": {"type": "bearer", "token": "canary-token"},
        "retry": {"maxAttempts": 5, "backoffMs": 10},
        "silent": True,
    }
    found = speed(
        tmp_path,
        {
            "reporter": ["console", "temp-file", "webhook"],
            "outputHandlers": [
                {"type": "console", "config": {"colors": False, "level": "warn"}},
                {"type": "temp-file", "config": files},
                {"type": "webhook", "config": webhook},
            ],
            "outputOptions": {
                "format": "text",
                "timestamp": False,
                "prefix": "[Speed]",
                "metadata": {"team": "a"},
                "timeout": 500,
            },
        },
    )
    token = Secret("canary-token")
    assert found == TokenSpeed(
        console="warn",
        files=SpeedFiles(folder=tmp_path / "token-speed/a/b", prefix="speed", extension="txt", has_time=True),
        webhook=Webhook(
            url=Secret(URL),
            method="PUT",
            headers=(("X-Team", Secret("a b")), ("Authorization", Secret("Bearer canary-token"))),
            secrets=(Secret(URL), token, Secret("a b")),
            attempts=5,
            backoff_s=0.01,
            timeout_s=0.5,
        ),
        prefix="[Speed]",
        metadata={"team": "a"},
        has_time=False,
    )


def test_a_folder_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for written, folder in (("/var/speed", "/var/speed"), ("~/speed", tmp_path / "home/speed")):
        config = loaded(tmp_path, handler("temp-file", subdirectory=written))
        assert config.speed is not None
        assert config.speed.files is not None
        assert str(config.speed.files.folder) == str(folder)


@pytest.mark.parametrize(
    ("auth", "name", "value", "shown_as_secret"),
    [
        (
            {"type": "basic", "username": "me", "password": "canary one"},
            "Authorization",
            "Basic bWU6Y2FuYXJ5IG9uZQ==",
            "canary one",
        ),
        (
            {"type": "custom", "custom": {"header": "X-Key", "value": "canary-2"}},
            "X-Key",
            "canary-2",
            "canary-2",
        ),
    ],
)
def test_signing(tmp_path: Path, auth: Any, name: str, value: str, shown_as_secret: str) -> None:
    config = loaded(tmp_path, handler("webhook", url=URL, auth=auth))
    assert config.speed is not None
    assert config.speed.webhook is not None
    assert config.speed.webhook.headers == ((name, Secret(value)),)
    assert {Secret(URL), Secret(shown_as_secret)} <= set(secrets_of_config(config))


def test_no_secret_is_shown(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token": "canary-token"}
    config = loaded(
        tmp_path,
        plugin(
            {
                "outputHandlers": [
                    "console",
                    "temp-file",
                    {
                        "type": "webhook",
                        "config": {"url": URL, "auth": auth, "headers": {"X-A": "canary-3"}},
                    },
                ]
            }
        ),
    )
    shown = values_from_config(config)["plugins"]
    assert "canary" not in json.dumps(shown) + repr(config)
    assert shown[0]["options"]["outputHandlers"][2]["config"]["url"] == "***"
    assert shown[0]["options"]["outputOptions"]["timeout"] == 30000
    again = loaded(tmp_path, shown[0] | {"options": {**shown[0]["options"], "outputHandlers": ["console"]}})
    assert again.warnings == ()
    assert values_from_config(loaded(tmp_path))["plugins"] == []


def test_disabled_means_nothing_but_is_read(tmp_path: Path) -> None:
    assert loaded(tmp_path, plugin(enabled=False)).speed is None
    assert loaded(tmp_path, plugin(enabled=False)).warnings == ()
    assert problems(tmp_path, plugin({"reporter": 3}, enabled=False)) == {
        "plugins[0].options.reporter": "a number"
    }


@pytest.mark.parametrize(
    ("plugins", "warning"),
    [
        (
            [{"name": "token-sped", "enabled": True}],
            "plugins[0].name names no plugin that is known and has no effect; did you mean token-speed?",
        ),
        ([{"name": "other"}], "has no effect; there is token-speed"),
        ([{"name": "token-speed"}], 'plugins[0] has no effect without "enabled": true'),
        ([plugin(), plugin()], "plugins[1] names token-speed a second time; the last one counts"),
        ([plugin(option={})], "plugins[0].option is not known and has no effect; did you mean options?"),
        ([plugin({"reporters": []})], "options.reporters is not known and has no effect"),
        ([plugin({"reporter": "webhook"})], "options.reporter names webhook, which has no effect without"),
        (
            [plugin({"reporter": "console", "outputHandlers": ["temp-file"]})],
            "options.outputHandlers lists temp-file, which reporter does not name: it has no effect",
        ),
        ([plugin({"outputHandlers": ["console", "console"]})], "names console a second time"),
        ([handler("webhook", url=URL, uri="x")], "config.uri is not known and has no effect"),
    ],
)
def test_warnings(tmp_path: Path, plugins: list[Any], warning: str) -> None:
    warnings = loaded(tmp_path, *plugins).warnings
    assert any(warning in sentence for sentence in warnings), warnings


CONFIG = "plugins[0].options.outputHandlers[0].config"


@pytest.mark.parametrize(
    ("entry", "key", "found"),
    [
        ("token-speed", "plugins[0]", "a text"),
        (plugin(["x"]), "plugins[0].options", "a list"),
        (plugin({"reporter": "file"}), "plugins[0].options.reporter", "'file'"),
        (plugin({"reporter": ["console", 3]}), "plugins[0].options.reporter[1]", "3"),
        (plugin({"outputHandlers": [3]}), "plugins[0].options.outputHandlers[0]", "a number"),
        (plugin({"outputHandlers": ["websocket"]}), "plugins[0].options.outputHandlers[0].type", None),
        (plugin({"outputHandlers": [{}]}), "plugins[0].options.outputHandlers[0].type", "nothing"),
        (plugin({"outputOptions": {"timeout": 0}}), "plugins[0].options.outputOptions.timeout", "0"),
        (plugin({"outputOptions": {"format": "xml"}}), "plugins[0].options.outputOptions.format", "'xml'"),
        (handler("console", level="loud"), f"{CONFIG}.level", "'loud'"),
        (handler("temp-file", prefix="a/b"), f"{CONFIG}.prefix", "'a/b'"),
        (handler("temp-file", extension="../x"), f"{CONFIG}.extension", "'../x'"),
        (handler("temp-file", subdirectory="../up"), f"{CONFIG}.subdirectory", "'../up'"),
        (handler("webhook"), f"{CONFIG}.url", "nothing"),
        (handler("webhook", url="http://canary.example/x"), f"{CONFIG}.url", "http to another machine"),
        (handler("webhook", url="https://u:canary@h/x"), f"{CONFIG}.url", "a URL with credentials"),
        (handler("webhook", url=URL, method="GET"), f"{CONFIG}.method", "'GET'"),
        (handler("webhook", url=URL, headers={"a b": "canary"}), f"{CONFIG}.headers.a b", None),
        (handler("webhook", url=URL, headers={"Host": "canary"}), f"{CONFIG}.headers.Host", None),
        (handler("webhook", url=URL, headers={"X": "canary\n"}), None, None),
        (handler("webhook", url=URL, headers={"X": "a\ncanary"}), f"{CONFIG}.headers.X", None),
        (handler("webhook", url=URL, retry={"maxAttempts": 0}), f"{CONFIG}.retry.maxAttempts", "0"),
        (handler("webhook", url=URL, auth={"type": "digest"}), f"{CONFIG}.auth.type", "'digest'"),
        (handler("webhook", url=URL, auth={"token": "canary"}), f"{CONFIG}.auth.type", "nothing"),
        (handler("webhook", url=URL, auth={"type": "bearer"}), f"{CONFIG}.auth.token", "nothing"),
        (
            handler("webhook", url=URL, auth={"type": "basic", "username": "me"}),
            f"{CONFIG}.auth.password",
            "nothing",
        ),
        (
            handler("webhook", url=URL, auth={"type": "custom", "custom": {"value": "canary"}}),
            f"{CONFIG}.auth.custom.header",
            "nothing",
        ),
        (
            handler("webhook", url=URL, auth={"type": "custom", "custom": {"header": "X-Key"}}),
            f"{CONFIG}.auth.custom.value",
            "nothing",
        ),
    ],
)
def test_every_fault_with_its_place(tmp_path: Path, entry: Any, key: str | None, found: str | None) -> None:
    if key is None:
        assert loaded(tmp_path, entry).speed is not None
        return
    said = problems(tmp_path, entry)
    assert key in said, said
    assert found is None or said[key] == found


def test_all_faults_at_once(tmp_path: Path) -> None:
    said = problems(tmp_path, handler("webhook", method="GET", retry={"backoffMs": -1}), "x")
    assert set(said) == {f"{CONFIG}.url", f"{CONFIG}.method", f"{CONFIG}.retry.backoffMs", "plugins[1]"}
