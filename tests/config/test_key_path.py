"""Paths of keys, as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.config.key_path import (
    NoSuchKeyError,
    document_with,
    document_without,
    place_of,
    shown,
    value_at,
)

DOCUMENT: dict[str, Any] = {
    "PORT": 1,
    "providers": [
        {"name": "A", "models": ["m", "n"], "transformer": {"gpt-4.1": {"use": []}}},
        {"name": "b"},
    ],
    "transformers": [{"path": "/x/y.js"}],
    "Router": {"default": "A,m"},
}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("PORT", ("PORT",)),
        ("router.default", ("Router", "default")),
        ("Providers[0].models", ("providers", 0, "models")),
        ("providers.a.models[1]", ("providers", 0, "models", 1)),
        ("Providers[b].api_key", ("providers", 1, "api_key")),
        ("Providers.0.name", ("providers", 0, "name")),
        ("Providers[2].name", ("providers", 2, "name")),
        ("providers.a.models.n", ("providers", 0, "models", 1)),
        ("providers.a.transformer.gpt-4.1.use", ("providers", 0, "transformer", "gpt-4.1", "use")),
        ('providers.a.transformer["new.model"].use', ("providers", 0, "transformer", "new.model", "use")),
        ("providers.a.transformer['new.model'].use", ("providers", 0, "transformer", "new.model", "use")),
        ("transformers['/x/y.js'].options", ("transformers", 0, "options")),
        ("StatusLine.default.modules", ("StatusLine", "default", "modules")),
    ],
)
def test_places(path: str, place: tuple[str | int, ...]) -> None:
    assert place_of(DOCUMENT, path) == place


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "no path"),
        ("a..b", "no path"),
        ("a[", "no path"),
        ("PORT.x", "nothing below"),
        ("Providers[3].name", "has 2 entries"),
        ("Providers.c.name", "it has A, b"),
    ],
)
def test_paths_that_lead_nowhere(path: str, sentence: str) -> None:
    with pytest.raises(NoSuchKeyError, match=sentence):
        place_of(DOCUMENT, path)


@pytest.mark.parametrize("place", [("X",), ("providers", 5), ("PORT", "x"), ("providers", "name")])
def test_values_that_are_not_there(place: tuple[str | int, ...]) -> None:
    with pytest.raises(NoSuchKeyError, match="is not in the configuration"):
        value_at(DOCUMENT, place)


def test_documents_are_copied() -> None:
    assert value_at(DOCUMENT, ("providers", 0, "models", 1)) == "n"
    longer = document_with(DOCUMENT, ("providers", 2, "transformer", "use"), ["x"])
    assert longer["providers"][2] == {"transformer": {"use": ["x"]}}
    assert document_with(DOCUMENT, (), 1) == 1
    shorter = document_without(DOCUMENT, ("providers", 0, "models", 0))
    assert shorter["providers"][0]["models"] == ["n"]
    assert document_without(DOCUMENT, ("Router", "default"))["Router"] == {}
    assert len(DOCUMENT["providers"]) == 2
    assert DOCUMENT["providers"][0]["models"] == ["m", "n"]


def test_places_are_shown_as_they_are_written() -> None:
    assert (
        shown(("providers", 0, "transformer", "gpt-4.1", "use")) == 'providers[0].transformer["gpt-4.1"].use'
    )
