"""The list of models: whole, in pages, one by one, in the words of either kind of client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.config.model import Config, Provider
from ccr.errors import RequestError
from ccr.gateway.models import DEFAULT_LIMIT, MAX_LIMIT, ModelList


def provider(name: str, *models: str, discovered: tuple[str, ...] = ()) -> Provider:
    return Provider(name=name, url="https://a.test", api_key=None, models=models, discovered=discovered)


TWO = Config(
    providers=(
        provider("a", "m", "n", discovered=("new", "M", "newer")),
        provider("b", "M", discovered=("NEW", "last")),
    )
)
MANY = Config(providers=(provider("a", *(f"m{number}" for number in range(25))),))


def page(config: Config, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ModelList(config).answer("anthropic", query))
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [model["id"] for model in found["data"]]


def test_configured_ones_come_first_and_discovered_ones_once() -> None:
    found = page(TWO)
    assert ids(found) == ["m", "n", "b,M", "new", "newer", "last"]
    assert (found["first_id"], found["last_id"], found["has_more"]) == ("m", "last", False)
    assert found["data"][0] == {
        "type": "model",
        "id": "m",
        "display_name": "m (a)",
        "created_at": "1970-01-01T00:00:00Z",
    }
    assert [model["id"] for model in found["data"] if model.get("discovered")] == ["new", "newer", "last"]


def test_openai_s_list_is_whole() -> None:
    found = json.loads(ModelList(TWO).answer("openai", {"limit": "1"}))
    assert set(found) == {"object", "data"}
    assert found["data"][0] == {"id": "m", "object": "model", "created": 0, "owned_by": "a"}
    assert ids(found) == ids(page(TWO))


def test_no_model_is_an_empty_page() -> None:
    found = page(Config())
    assert (found["data"], found["first_id"], found["last_id"], found["has_more"]) == ([], None, None, False)


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ({}, range(DEFAULT_LIMIT), True),
        ({"limit": str(MAX_LIMIT)}, range(25), False),
        ({"limit": "25"}, range(25), False),
        ({"limit": "3", "after_id": "m2"}, range(3, 6), True),
        ({"limit": "3", "after_id": "m21"}, range(22, 25), False),
        ({"after_id": "M24"}, range(0), False),
        ({"limit": "3", "before_id": "m5"}, range(2, 5), True),
        ({"limit": "5", "before_id": "m5"}, range(5), False),
        ({"before_id": "m0"}, range(0), False),
        ({"limit": "", "after_id": "", "before_id": ""}, range(DEFAULT_LIMIT), True),
    ],
)
def test_pages(query: dict[str, str], expected: range, *, has_more: bool) -> None:
    found = page(MANY, **query)
    assert ids(found) == [f"m{number}" for number in expected]
    assert found["has_more"] is has_more


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"after_id": "x"}, "after_id: there is no model `x`"),
        ({"before_id": "x"}, "before_id: there is no model `x`"),
        ({"after_id": "m1", "before_id": "m2"}, "exclude"),
    ],
)
def test_wrong_pages_are_refused(query: dict[str, str], said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        page(MANY, **query)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("name", "expected"), [("m", "m"), ("N", "n"), ("b,M", "b,M"), ("a,m", "m"), ("B,last", "last")]
)
def test_one(name: str, expected: str) -> None:
    models = ModelList(TWO)
    assert json.loads(models.one("anthropic", name))["id"] == expected
    assert json.loads(models.one("openai", name))["object"] == "model"


@pytest.mark.parametrize("name", ["x", "", "b,n", "a,"])
def test_an_unknown_one(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        ModelList(TWO).one("anthropic", name)
    assert caught.value.status == 404
