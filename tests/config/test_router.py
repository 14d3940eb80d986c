from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import DEFAULT_LONG_CONTEXT_TOKENS
from ccr.config.show import values_from_config
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

PROVIDER = {
    "name": "Dbx",
    "api_base_url": "https://example.test/v1/chat/completions",
    "api_key": "k",
    "models": ["Big", "Small", "org/a,b"],
}


def load(router: Any, **changes: Any) -> Config:
    return config_from_bytes(json.dumps({"Providers": [PROVIDER], "Router": router, **changes}).encode(), {})


def problems(router: Any, **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(router, **changes)
    return [f"{problem.key}: {problem.found}" for problem in caught.value.problems]


def test_the_documented_form() -> None:
    router = load(
        {
            "default": "dbx,big",
            "background": "DBX, small",
            "think": "Dbx,org/a,b",
            "longContext": "Dbx,Big",
            "longContextThreshold": "80000",
            "webSearch": "",
            "image": None,
        }
    ).router
    assert router.default == "Dbx,Big"
    assert router.scenarios == {"background": "Dbx,Small", "think": "Dbx,org/a,b", "longContext": "Dbx,Big"}
    assert router.long_context_threshold == 80000
    assert (router.alternatives, router.others) == ({}, {})
    assert load({"default": "dbx,big"}).router.long_context_threshold == DEFAULT_LONG_CONTEXT_TOKENS


def test_lists_and_the_npm_router_s_fallback_say_the_same() -> None:
    config = load(
        {"default": ["dbx,big", "dbx,small"], "think": ["dbx,small"], "image": []},
        fallback={
            "default": ["Dbx,Small", "dbx,big", "dbx,org/a,b"],
            "think": "dbx,big",
            "webSearch": ["dbx,big"],
        },
    )
    router = config.router
    assert config.warnings == tuple(
        f"config.json: fallback.default leads back to {again}, which Router.default names: "
        "it is not tried twice"
        for again in ("Dbx,Small", "Dbx,Big")
    )
    assert router.default == "Dbx,Big"
    assert router.scenarios == {"think": "Dbx,Small"}
    assert router.alternatives == {"default": ("Dbx,Small", "Dbx,org/a,b"), "think": ("Dbx,Big",)}


@pytest.mark.parametrize(
    ("router", "changes", "found"),
    [
        ({}, {}, ["Router.default: nothing"]),
        ({"default": []}, {}, ["Router.default: an empty list"]),
        ({"default": "dbx,none"}, {}, ["Router.default: 'dbx,none'"]),
        ({"default": ["dbx,big", "x"]}, {}, ["Router.default[1]: 'x'"]),
        ({"default": "dbx,big", "think": 3}, {}, ["Router.think: a number"]),
        ({"default": "dbx,big", "image": {"a": 1}}, {}, ["Router.image: an object"]),
        ({"default": "dbx,big", "longContextThreshold": "many"}, {}, ["Router.longContextThreshold: 'many'"]),
        ({"default": "dbx,big", "longContextThreshold": 0}, {}, ["Router.longContextThreshold: 0"]),
        (
            {"default": "dbx,big"},
            {"fallback": {"think": ["dbx,big", "no,no"]}},
            ["fallback.think[1]: 'no,no'"],
        ),
        ({"default": "dbx,big"}, {"fallback": ["dbx,big"]}, ["fallback: a list"]),
        (
            {"default": ["dbx,big", "dbx,small", "DBX, big"]},
            {},
            ["Router.default[2]: Dbx,Big, as in Router.default[0]"],
        ),
        (
            {"default": "dbx,big", "think": ["dbx,big", "dbx,big"]},
            {},
            ["Router.think[1]: Dbx,Big, as in Router.think[0]"],
        ),
        (
            {"default": "dbx,big"},
            {"fallback": {"default": ["dbx,small", "dbx,small"]}},
            ["fallback.default[1]: Dbx,Small, as in fallback.default[0]"],
        ),
    ],
)
def test_every_name_must_exist(router: Any, changes: Any, found: list[str]) -> None:
    assert problems(router, **changes) == found


def test_unknown_keys_are_warned_of() -> None:
    config = load({"default": "dbx,big", "thinking": "dbx,big"}, fallback={"defaults": []})
    assert config.warnings == (
        "config.json: Router.thinking is not known and has no effect; did you mean think?",
        "config.json: fallback.defaults is not known and has no effect; did you mean default?",
    )
    assert config.router.others == {"thinking": "dbx,big"}


def test_what_is_shown_means_the_same() -> None:
    config = load(
        {"default": ["dbx,big", "dbx,small"], "longContext": "dbx,small"}, fallback={"longContext": "dbx,big"}
    )
    shown = values_from_config(config)["Router"]
    assert shown == {
        "default": ["Dbx,Big", "Dbx,Small"],
        "longContext": ["Dbx,Small", "Dbx,Big"],
        "longContextThreshold": DEFAULT_LONG_CONTEXT_TOKENS,
    }
    assert load(shown).router == config.router


def test_the_custom_router_s_file(tmp_path: Path) -> None:
    file = tmp_path / "router.py"
    file.touch()
    data = {"Providers": [PROVIDER], "Router": {"default": "dbx,big"}, "CUSTOM_ROUTER_PATH": str(file)}
    assert load({"default": "dbx,big"}, CUSTOM_ROUTER_PATH=str(file)).custom_router == file
    beside = config_from_bytes(
        json.dumps({**data, "CUSTOM_ROUTER_PATH": "router.py"}).encode(), {}, file=str(tmp_path / "c.json")
    )
    assert beside.custom_router == file
    assert values_from_config(beside)["CUSTOM_ROUTER_PATH"] == str(file)
    for wrong in (str(tmp_path / "none.py"), str(tmp_path), str(tmp_path / "router.ts")):
        (tmp_path / "router.ts").touch()
        assert problems({"default": "dbx,big"}, CUSTOM_ROUTER_PATH=wrong)[0].startswith("CUSTOM_ROUTER_PATH")
    assert load({"default": "dbx,big"}, CUSTOM_ROUTER_PATH="").custom_router is None
