"""``GET /v1/models`` and ``/v1/models/{id}``: what is configured, then what the workspaces serve beside it.

Anthropic's clients get pages (``limit``, ``after_id``, ``before_id``), OpenAI's one list, each in the words
of its own API. A model that nobody configured is marked ``"discovered": true``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Config, Provider

UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
"""Both clients require a date of creation; the upstreams report none."""
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
"""Anthropic's own limits of a page."""

ModelsDialect = Literal["anthropic", "openai"]


class Listed(NamedTuple):
    """One model. id: what a request may name: the model, or ``provider,model`` where it must be."""

    id: str
    model: str
    provider: str
    is_discovered: bool


class ModelList:
    """The models of one configuration, in the configured order."""

    def __init__(self, config: Config) -> None:
        self._listed = _listed(config)
        self._positions = {each.id.lower(): at for at, each in enumerate(self._listed)}

    def answer(self, dialect: ModelsDialect, query: Mapping[str, str]) -> bytes:
        """Return the list, or the page of it that is asked for. Raises RequestError (400)."""
        if dialect == "openai":
            return msgspec.json.encode({"object": "list", "data": [_openai(each) for each in self._listed]})
        start, end = self._page(query)
        page = self._listed[start:end]
        is_backwards = bool(query.get("before_id"))
        return msgspec.json.encode(
            {
                "data": [_anthropic(each) for each in page],
                "has_more": start > 0 if is_backwards else end < len(self._listed),
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )

    def one(self, dialect: ModelsDialect, name: str) -> bytes:
        """Return one model, by its id or as ``provider,model``. Raises RequestError (404)."""
        wanted = name.lower()
        at = self._positions.get(wanted)
        if at is None:
            named = (each for each in self._listed if f"{each.provider},{each.model}".lower() == wanted)
            listed = next(named, None)
        else:
            listed = self._listed[at]
        if listed is None:
            raise RequestError(f"model: `{name[:200]}` is not among the models of GET /v1/models", status=404)
        return msgspec.json.encode(_openai(listed) if dialect == "openai" else _anthropic(listed))

    def _page(self, query: Mapping[str, str]) -> tuple[int, int]:
        limit = _limit(query.get("limit"))
        after, before = query.get("after_id"), query.get("before_id")
        if after and before:
            raise RequestError("after_id and before_id exclude each other")
        if before:
            end = self._position("before_id", before)
            return max(0, end - limit), end
        start = self._position("after_id", after) + 1 if after else 0
        return start, min(start + limit, len(self._listed))

    def _position(self, key: str, name: str) -> int:
        at = self._positions.get(name.lower())
        if at is None:
            raise RequestError(f"{key}: there is no model `{name[:200]}`")
        return at


def _listed(config: Config) -> list[Listed]:
    """Return every configured model, and every discovered one once."""
    found: list[Listed] = []
    seen: set[str] = set()
    for provider in config.providers:
        for model in provider.models:
            name = f"{provider.name},{model}" if model.lower() in seen else model
            seen.add(model.lower())
            found.append(Listed(name, model, provider.name, is_discovered=False))
    for provider in config.providers:
        for model in _new(provider, seen):
            seen.add(model.lower())
            found.append(Listed(model, model, provider.name, is_discovered=True))
    return found


def _new(provider: Provider, seen: set[str]) -> list[str]:
    return [model for model in provider.discovered if model.lower() not in seen]


def _limit(given: str | None) -> int:
    if not given:
        return DEFAULT_LIMIT
    limit = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise RequestError(f"limit: must be a whole number from 1 to {MAX_LIMIT}")
    return limit


def _anthropic(listed: Listed) -> dict[str, Any]:
    values: dict[str, Any] = {
        "type": "model",
        "id": listed.id,
        "display_name": f"{listed.model} ({listed.provider})",
        "created_at": UNKNOWN_DATE,
    }
    return values | _mark(listed)


def _openai(listed: Listed) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": listed.id,
        "object": "model",
        "created": 0,
        "owned_by": listed.provider,
    }
    return values | _mark(listed)


def _mark(listed: Listed) -> dict[str, bool]:
    return {"discovered": True} if listed.is_discovered else {}
