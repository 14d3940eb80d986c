"""Which changes the page may make, and what they make of a document. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.config.load import KEYS
from ccr.errors import CcrError, RequestError
from ccr.setup.route_choice import Choice, choices_in
from ccr.ui.edits import CHANGES, edited

DOCUMENT: dict[str, Any] = {
    "PORT": 0,
    "Providers": [
        {"name": "one", "api_base_url": "https://one.test/x", "api_key": "$ONE", "models": ["a", "b"]},
        {"name": "two", "api_base_url": "https://two.test/x", "models": ["c"]},
    ],
    "Router": {"default": "one,a", "think": ["one,b", "two,c"]},
}
CHOICES = [*choices_in(DOCUMENT, {}), Choice("two", "served", is_configured=False)]
ROUTER = DOCUMENT["Router"]


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"what": "route", "kind": "default", "route": "two,c"}, "Router", {**ROUTER, "default": "two,c"}),
        ({"what": "route", "kind": "image", "route": "c"}, "Router", {**ROUTER, "image": "two,c"}),
        (
            {"what": "route", "kind": "think", "route": "one,a"},
            "Router",
            {**ROUTER, "think": ["one,a", "two,c"]},
        ),
        ({"what": "route", "kind": "think", "route": None}, "Router", {"default": "one,a"}),
        ({"what": "threshold", "value": 9}, "Router", {**ROUTER, "longContextThreshold": 9}),
        ({"what": "log_level", "value": "debug"}, "LOG_LEVEL", "debug"),
        ({"what": "image_agent", "value": True}, "forceUseImageAgent", True),
    ],
)
def test_changes(change: dict[str, Any], key: str, value: Any) -> None:
    assert edited(DOCUMENT, change, CHOICES) == {**DOCUMENT, key: value}


def test_changes_of_providers() -> None:
    one, two = DOCUMENT["Providers"]

    def providers(change: dict[str, Any]) -> Any:
        return edited(DOCUMENT, change, CHOICES)["Providers"]

    assert providers({"what": "add_model", "provider": "two", "model": " d "}) == [
        one,
        {**two, "models": ["c", "d"]},
    ]
    assert providers({"what": "remove_model", "provider": "one", "model": "b"}) == [
        {**one, "models": ["a"]},
        two,
    ]
    assert providers({"what": "key", "provider": "two", "value": "$TWO"}) == [one, {**two, "api_key": "$TWO"}]
    served = edited(DOCUMENT, {"what": "route", "kind": "image", "route": "two,served"}, CHOICES)
    assert served["Providers"][1]["models"] == ["c", "served"]
    lower = edited({"providers": [one]}, {"what": "key", "provider": "one", "value": "k"}, [])
    assert lower == {"providers": [{**one, "api_key": "k"}]}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"what": "CUSTOM_ROUTER_PATH", "value": "x.py"},
        {"what": ["route"], "kind": "default", "route": "one,a"},
        {"what": "route", "kind": "CLAUDE_PATH", "route": "one,a"},
        {"what": "route", "kind": "longContextThreshold", "route": "one,a"},
        {"what": "route", "kind": "default", "route": None},
        {"what": "route", "kind": "think", "route": "nobody,x"},
        {"what": "route", "kind": "think", "route": {"x": 1}},
        {"what": "threshold", "value": "9"},
        {"what": "threshold", "value": True},
        {"what": "threshold", "value": 1.5},
        {"what": "log_level", "value": "loud"},
        {"what": "log_level", "value": ["info"]},
        {"what": "image_agent", "value": "yes"},
        {"what": "add_model", "provider": "nobody", "model": "x"},
        {"what": "add_model", "provider": "one", "model": "  "},
        {"what": "add_model", "provider": "one", "model": ["x"]},
        {"what": "remove_model", "provider": "one", "model": "nothing"},
        {"what": "remove_model", "provider": "nobody", "model": "a"},
        {"what": "key", "provider": "nobody", "value": "k"},
        {"what": "key", "provider": "one", "value": ""},
        {"what": "key", "provider": "one", "value": "two\nlines"},
        {"what": "key", "provider": "one", "value": "k" * 5000},
        {"what": "key", "provider": "one", "value": {"k": 1}},
    ],
)
def test_what_is_no_such_change_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CcrError):
        edited(DOCUMENT, change, CHOICES)


def test_documents_of_another_form() -> None:
    for document in ({}, {"Providers": ["x"]}, {"Providers": [{"name": "one", "models": "a"}]}):
        with pytest.raises(RequestError):
            edited(document, {"what": "remove_model", "provider": "one", "model": "a"}, [])


def test_nothing_that_loads_code_or_lets_others_in_can_be_changed() -> None:
    assert set(CHANGES) == {
        "route",
        "threshold",
        "log_level",
        "image_agent",
        "add_model",
        "remove_model",
        "key",
    }
    values = ["x", 1, True, None, "one,a", "info"]
    changed = set()
    for what in CHANGES:
        for value in values:
            change = {
                "what": what,
                "kind": "think",
                "provider": "one",
                "model": "b",
                "route": value,
                "value": value,
            }
            try:
                new = edited(DOCUMENT, change, CHOICES)
            except CcrError:
                continue
            changed |= {key for key in new if new[key] != DOCUMENT.get(key)}
            for old, entry in zip(DOCUMENT["Providers"], new["Providers"], strict=True):
                assert {key for key in entry if entry[key] != old.get(key)} <= {"models", "api_key"}
    assert changed == {"Router", "LOG_LEVEL", "forceUseImageAgent", "Providers"}
    assert changed < set(KEYS)
