from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ccr.catalog import name_facts
from ccr.config.model import Config, Provider, Router
from ccr.errors import RequestError
from ccr.routing.facts import Facts
from ccr.routing.router import Choice, Rulebook, merged
from ccr.routing.subagent import Tag

facts_of_name = partial(name_facts, today=dt.date(2026, 11, 22))


def provider(name: str, *models: str) -> Provider:
    return Provider(name=name, url="https://example.test/v1", api_key=None, models=models)


CONFIG = Config(
    providers=(
        provider(
            "dbx",
            "databricks-claude-sonnet-4-6",
            "databricks-claude-opus-4-8",
            "databricks-claude-haiku-4-5",
            "thinker",
            "long",
            "searcher",
            "seer",
            "small",
        ),
        provider("east", "long", "small", "spare"),
    ),
    router=Router(
        default="dbx,databricks-claude-sonnet-4-6",
        scenarios={
            "background": "dbx,small",
            "think": "dbx,thinker",
            "longContext": "dbx,long",
            "webSearch": "dbx,searcher",
            "image": "dbx,seer",
        },
    ),
)
BARE = replace(CONFIG, router=Router(default="dbx,databricks-claude-sonnet-4-6"))
EVERYTHING: dict[str, Any] = {
    "tokens": 90_000,
    "subagent": Tag("opus"),
    "has_web_search": True,
    "more_thinking": "ultrathink",
    "has_image": True,
}


def decide(model: str, config: Config = CONFIG, **facts: Any) -> Choice:
    return Rulebook(config).decide(Facts(model, **facts), facts_of_name)


def short(choice: Choice) -> tuple[str, str]:
    return choice.model, choice.rule


@pytest.mark.parametrize(
    ("model", "facts", "expected"),
    [
        # each rule alone
        ("claude-sonnet-5", {}, ("databricks-claude-sonnet-4-6", "default")),
        ("claude-opus-5", {}, ("databricks-claude-opus-4-8", "family")),
        ("EAST , Spare", {}, ("spare", "explicit")),
        ("Thinker[1m]", {}, ("thinker", "model")),
        ("claude-sonnet-5", {"subagent": Tag("opus")}, ("databricks-claude-opus-4-8", "subagent")),
        ("claude-sonnet-5", {"subagent": Tag("east,spare")}, ("spare", "subagent")),
        ("claude-sonnet-5", {"tokens": 60_001}, ("long", "longContext")),
        ("claude-sonnet-5", {"tokens": 60_000}, ("databricks-claude-sonnet-4-6", "default")),
        ("claude-sonnet-5", {"tokens": 20_001, "last_tokens": 60_001}, ("long", "longContext")),
        (
            "claude-sonnet-5",
            {"tokens": 20_000, "last_tokens": 60_001},
            ("databricks-claude-sonnet-4-6", "default"),
        ),
        (
            "claude-sonnet-5",
            {"tokens": 20_001, "last_tokens": 60_000},
            ("databricks-claude-sonnet-4-6", "default"),
        ),
        ("claude-haiku-4-5-20251001", {}, ("small", "background")),
        ("HAIKU", {}, ("small", "background")),
        ("claude-3-5-haiku-latest", {}, ("small", "background")),
        ("claude-sonnet-5", {"has_web_search": True}, ("searcher", "webSearch")),
        ("claude-sonnet-5", {"more_thinking": "effort max"}, ("thinker", "think")),
        ("claude-sonnet-5", {"has_image": True}, ("seer", "image")),
        (
            "claude-sonnet-5",
            {"has_image": True, "leaves_images": True},
            ("databricks-claude-sonnet-4-6", "default"),
        ),
        # a configured name is a choice …
        (
            "databricks-claude-opus-4-8",
            {**EVERYTHING, "subagent": Tag("")},
            ("databricks-claude-opus-4-8", "model"),
        ),
        ("databricks-claude-haiku-4-5", {}, ("databricks-claude-haiku-4-5", "model")),
        # … but not the launcher's names for the default and background routes
        ("databricks-claude-sonnet-4-6", {}, ("databricks-claude-sonnet-4-6", "model")),
        ("databricks-claude-sonnet-4-6[1m]", {"has_image": True}, ("seer", "image")),
        ("small", {}, ("small", "background")),
        ("small", {"tokens": 90_000}, ("long", "longContext")),
        # outright, everything is a choice
        ("dbx,databricks-claude-sonnet-4-6", EVERYTHING, ("databricks-claude-sonnet-4-6", "explicit")),
        # an example of a tag is none
        (
            "claude-sonnet-5",
            {"subagent": Tag("provider,model", is_certain=False)},
            ("databricks-claude-sonnet-4-6", "default"),
        ),
    ],
)
def test_the_rules(model: str, facts: Any, expected: tuple[str, str]) -> None:
    choice = decide(model, **facts)
    assert short(choice) == expected
    assert choice.tried[-1].rule == choice.rule
    assert all(tried.why for tried in choice.tried)
    assert choice.router == ""


def test_their_order() -> None:
    facts = dict(EVERYTHING)
    order: list[str] = []
    for fact, empty in (
        ("subagent", Tag("")),
        ("tokens", 0),
        (None, None),
        ("has_web_search", False),
        ("more_thinking", ""),
        ("has_image", False),
    ):
        model = "claude-haiku-4-5" if len(order) < 3 else "claude-sonnet-5"
        order.append(decide(model, **facts).rule)
        if fact:
            facts[fact] = empty
    order.append(decide("claude-sonnet-5", **facts).rule)
    assert order == ["subagent", "longContext", "background", "webSearch", "think", "image", "default"]


def test_without_routes_for_them_the_scenarios_are_the_default_s() -> None:
    facts = {**EVERYTHING, "subagent": Tag("")}
    assert short(decide("claude-sonnet-5", BARE, **facts)) == ("databricks-claude-sonnet-4-6", "default")
    choice = decide("claude-haiku-4-5", BARE, **facts)
    assert short(choice) == ("databricks-claude-haiku-4-5", "same_model")
    whys = [(tried.rule, tried.why) for tried in choice.tried]
    assert ("think", "Router.think is not set") in whys
    assert [rule for rule, _ in whys] == [
        *("explicit", "subagent", "model", "longContext", "background", "webSearch", "think", "image"),
        "same_model",
    ]


def test_a_wrong_tag_is_refused() -> None:
    with pytest.raises(RequestError, match="<CCR-SUBAGENT-MODEL>: model: `nobody` is not configured"):
        decide("claude-sonnet-5", subagent=Tag("nobody"))


def test_tags_are_removed_wherever_they_lead() -> None:
    assert decide("claude-sonnet-5", subagent=Tag("opus")).removes_tag
    assert decide("east,spare", subagent=Tag("opus")).removes_tag
    assert not decide("claude-sonnet-5", subagent=Tag("x,y", is_certain=False)).removes_tag


def test_a_name_nobody_configured_is_refused_whatever_else_is_asked() -> None:
    with pytest.raises(RequestError, match="`gpt-4o` is not configured"):
        decide("gpt-4o", **EVERYTHING)


def test_a_haiku_as_default_is_no_background() -> None:
    router = Router(default="dbx,databricks-claude-haiku-4-5", scenarios={"background": "dbx,small"})
    config = replace(CONFIG, router=router)
    assert short(decide("databricks-claude-haiku-4-5", config)) == ("databricks-claude-haiku-4-5", "model")
    assert short(decide("claude-haiku-4-5", config)) == ("small", "background")


def test_the_only_name_of_a_default_route_is_no_choice() -> None:
    scenarios = {"think": "dbx,thinker", "background": "east,small"}
    config = replace(CONFIG, router=Router(default="east,long", scenarios=scenarios))
    assert short(decide("east,long", config, more_thinking="effort max")) == ("thinker", "think")
    assert short(decide("east,long", config)) == ("long", "explicit")
    assert short(decide("east,small", config)) == ("small", "background")
    # another provider has this name first, so that it is a choice
    assert short(decide("long", config, more_thinking="effort max")) == ("long", "model")


# -- the Router of a project ---------------------------------------------------------------------------


def test_the_router_of_a_project_counts_alone() -> None:
    rulebook = Rulebook(CONFIG, Router(default="east,spare", scenarios={"image": "east,small"}), "project")

    def asked(model: str, **facts: Any) -> tuple[str, str]:
        choice = rulebook.decide(Facts(model, **facts), facts_of_name)
        assert choice.router == "project"
        return f"{choice.provider.name},{choice.model}", choice.rule

    assert asked("claude-sonnet-5") == ("east,spare", "default")
    assert asked("claude-sonnet-5", more_thinking="x") == ("east,spare", "default")
    assert asked("claude-sonnet-5", has_image=True) == ("east,small", "image")
    # what it does not say of default and background is the configuration's
    assert asked("claude-haiku-4-5") == ("dbx,small", "background")
    # the launcher names the configuration's default, whatever the project
    assert asked("databricks-claude-sonnet-4-6") == ("east,spare", "default")
    assert asked("spare") == ("east,spare", "default")
    assert asked("thinker") == ("dbx,thinker", "model")


def test_a_project_without_default_has_the_configuration_s() -> None:
    base = Router(
        default="dbx,long",
        scenarios={"background": "dbx,small", "think": "dbx,thinker"},
        alternatives={"default": ("east,long",), "background": ("east,small",), "think": ("dbx,long",)},
    )
    both = merged(Router(scenarios={"think": "dbx,seer"}, long_context_threshold=5), base)
    assert both.default == "dbx,long"
    assert both.scenarios == {"background": "dbx,small", "think": "dbx,seer"}
    assert both.long_context_threshold == 5
    assert both.alternatives == {"default": ("east,long",), "background": ("east,small",)}
    own = merged(
        Router(
            default="dbx,seer", scenarios={"background": "dbx,long"}, alternatives={"default": ("dbx,long",)}
        ),
        base,
    )
    assert own.scenarios == {"background": "dbx,long"}
    assert own.alternatives == {"default": ("dbx,long",)}
    assert merged(Router(default="dbx,seer"), Router()).scenarios == {}


def test_a_served_model_is_a_choice() -> None:
    served = replace(CONFIG.providers[1], discovered=("new",))
    config = replace(CONFIG, providers=(CONFIG.providers[0], served))
    assert short(decide("NEW", config, more_thinking="x")) == ("new", "model")
    assert short(decide("east,new", config)) == ("new", "explicit")


# -- alternatives --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "facts", "alternatives"),
    [
        ("claude-sonnet-5", {}, ["east,spare", "dbx,databricks-claude-opus-4-8"]),
        ("databricks-claude-sonnet-4-6", {}, ["east,spare", "dbx,databricks-claude-opus-4-8"]),
        ("claude-opus-5", {}, ["east,spare"]),
        ("claude-sonnet-5", {"has_image": True}, ["east,spare"]),
        ("claude-sonnet-5", {"more_thinking": "x"}, []),
        # whoever chose a model gets that one
        ("thinker", {}, []),
        ("dbx,thinker", {}, []),
        ("claude-sonnet-5", {"subagent": Tag("thinker")}, []),
    ],
)
def test_alternatives(model: str, facts: Any, alternatives: list[str]) -> None:
    router = replace(
        CONFIG.router,
        alternatives={"default": ("east,spare", "dbx,databricks-claude-opus-4-8"), "image": ("east,spare",)},
    )
    choice = decide(model, replace(CONFIG, router=router), **facts)
    assert [f"{each.name},{name}" for each, name in choice.alternatives] == alternatives


def test_a_name_from_elsewhere() -> None:
    rulebook = Rulebook(CONFIG)
    choice = rulebook.name("opus", "custom", "it says so", facts_of_name)
    assert (*short(choice), choice.tried) == (
        "databricks-claude-opus-4-8",
        "custom",
        (("custom", "it says so"),),
    )
    with pytest.raises(RequestError):
        rulebook.name("nobody", "custom", "", facts_of_name)
