"""Options of all built-in transformers: strict by name, numbers also as texts, ``debug`` everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.config.model import Step
from ccr.transformers.options import is_debugged
from ccr.transformers.registry import BUILT_IN, NOT_YET, build

NEEDED = {"maxtoken": {"max_tokens": 5}}
ANY = ("customparams", "openrouter", "vercel")


def test_every_name_of_the_npm_router_is_known_or_refused_with_a_reason() -> None:
    assert sorted(BUILT_IN) == [
        "Anthropic",
        "OpenAI",
        "cerebras",
        "cleancache",
        "customparams",
        "databricks-custom",
        "deepseek",
        "enhancetool",
        "extrathinktag",
        "forcereasoning",
        "groq",
        "maxcompletiontokens",
        "maxtoken",
        "openrouter",
        "reasoning",
        "sampling",
        "streamoptions",
        "tooluse",
        "vercel",
    ]
    assert sorted(NOT_YET) == [
        "gemini",
        "openai-responses",
        "vertex-claude",
        "vertex-gemini",
        "vertex-openai",
    ]


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_what_is_not_there_yet_says_what_to_use_instead(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^transformer '{name}', which is not there yet; allowed: .{{20}}"):
        build(Step(name=name))


@pytest.mark.parametrize(
    ("name", "near"),
    [("openai", "OpenAI"), ("max_token", "maxtoken"), ("tool-use", "tooluse"), ("xyz", None)],
)
def test_unknown_names_get_the_nearest(name: str, near: str | None) -> None:
    with pytest.raises(ValueError, match="unknown transformer") as caught:
        build(Step(name=name))
    assert ("did you mean" in str(caught.value)) is (near is not None)
    assert f"did you mean {near!r}?; known" in str(caught.value) or near is None


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_debug_is_an_option_everywhere(name: str) -> None:
    assert build(Step(name=name, options={**NEEDED.get(name, {}), "debug": True})).name == name


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - set(ANY)))
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: unknown option 'zzz'; allowed: .*debug"):
        build(Step(name=name, options={**NEEDED.get(name, {}), "zzz": 1}))


@pytest.mark.parametrize("name", ANY)
def test_some_take_any_option(name: str) -> None:
    assert build(Step(name=name, options={"zzz": {"a": [1]}})).options == {"zzz": {"a": [1]}}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("maxtoken", {}, "option max_tokens is missing; allowed: a whole number above 0"),
        ("maxtoken", {"max_tokens": 0}, "option max_tokens is 0; allowed: a whole number above 0"),
        ("maxtoken", {"max_tokens": "many"}, "option max_tokens is 'many'; allowed: a number"),
        ("maxtoken", {"max_tokens": 1.5}, "a whole number above 0"),
        ("maxtoken", {"max_tokens": True}, "a number"),
        ("maxtoken", {"max_tokens": [1]}, "a number"),
        ("sampling", {"temperature": float("inf")}, "a number"),
        ("sampling", {"top_k": -1}, "a whole number above 0"),
        ("reasoning", {"enable": "perhaps"}, "option enable is 'perhaps'; allowed: true or false"),
        ("reasoning", {"debug": 3}, "option debug is 3; allowed: true or false"),
        ("Anthropic", {"UseBearer": 1}, "true or false"),
    ],
)
def test_wrong_values_are_refused(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        build(Step(name=name, options=options))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "is_asked"),
    [({}, False), ({"debug": False}, False), ({"debug": "False "}, False), ({"debug": True}, True)],
)
def test_debug(options: dict[str, object], is_asked: bool) -> None:
    assert is_debugged(options) is is_asked
    assert is_debugged({"debug": "yes"}), "a plugin's own word"
