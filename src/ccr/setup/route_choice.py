"""Choosing models for the kinds of requests, on config.json as it is written. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ccr.config.router import SCENARIOS
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KINDS: Final = ("default", *SCENARIOS)
NOTHING: Final = "none"
LISTED: Final = 12


@dataclass(frozen=True)
class Choice:
    """A model of a provider. is_configured: False for one that the workspace serves and nobody listed."""

    provider: str
    model: str
    is_configured: bool = True

    @property
    def route(self) -> str:
        """How it is written in ``Router``."""
        return f"{self.provider},{self.model}"


def choices_in(document: Mapping[str, Any], served: Mapping[str, Sequence[str]]) -> list[Choice]:
    """Return what may be chosen: the configured models in their order, then the served ones.

    served: provider -> models its workspace serves.
    """
    choices: dict[str, Choice] = {}
    for provider in providers_in(document):
        name = str(provider.get("name", ""))
        models = provider.get("models")
        for model in models if isinstance(models, list) else []:
            choice = Choice(name, str(model))
            choices.setdefault(choice.route.lower(), choice)
    for name, models in served.items():
        for model in models:
            choice = Choice(name, model, is_configured=False)
            choices.setdefault(choice.route.lower(), choice)
    return list(choices.values())


def chosen_from(choices: Sequence[Choice], written: str) -> Choice:
    """Return the choice that a number, ``provider,model`` or a model's name means. Raises StartError."""
    text = ",".join(part.strip() for part in written.split(",", 1))
    if text.isdecimal() and 1 <= int(text) <= len(choices):
        return choices[int(text) - 1]
    fits = [choice for choice in choices if text.lower() in (choice.route.lower(), choice.model.lower())]
    if len(fits) == 1 or (fits and len({choice.provider for choice in fits}) == 1):
        return fits[0]
    if fits:
        raise StartError(f"{written} is a model of several providers: {_listed(fits)}.")
    raise StartError(f"There is no model {written!r}; there are {_listed(choices) or 'none'}.")


def current(document: Mapping[str, Any], kind: str) -> str:
    """Return what ``Router`` says of a kind of requests, "" when nothing."""
    router = document.get("Router")
    value = router.get(kind) if isinstance(router, dict) else None
    if isinstance(value, list):
        return " then ".join(map(str, value))
    return value if isinstance(value, str) else ""


def with_route(document: Mapping[str, Any], kind: str, choice: Choice | None) -> dict[str, Any]:
    """Return the document with another model for a kind of requests; None takes the kind out.

    Of a list only the first route is replaced: the others are what is tried after it. A model that is not
    listed yet is added to its provider.
    """
    router = dict(document.get("Router") or {})
    if choice is None:
        router.pop(kind, None)
        return {**document, "Router": router}
    old = router.get(kind)
    if isinstance(old, list):
        rest = [route for route in old[1:] if _plain(str(route)) != choice.route.lower()]
        router[kind] = [choice.route, *rest]
    else:
        router[kind] = choice.route
    return with_model({**document, "Router": router}, choice.provider, choice.model)


def with_model(
    document: Mapping[str, Any], provider: str, model: str, steps: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the document in which a provider has a model; steps: transformers of that model alone.

    Raises StartError when there is no such provider.
    """
    entries = providers_in(document)
    at = _index_of(entries, provider)
    if at is None:
        known = ", ".join(str(each.get("name")) for each in entries) or "none"
        raise StartError(f"There is no provider {provider}; there are {known}.")
    entry = dict(entries[at])
    models = list(entry.get("models") or [])
    if model.lower() not in (str(each).lower() for each in models):
        entry["models"] = [*models, model]
    if steps:
        entry["transformer"] = {**(entry.get("transformer") or {}), model: {"use": list(steps)}}
    return _with_providers(document, [*entries[:at], entry, *entries[at + 1 :]])


def with_provider(document: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with one more provider. Raises StartError when one of that name is there."""
    entries = providers_in(document)
    if _index_of(entries, str(entry.get("name"))) is not None:
        raise StartError(f"There is a provider {entry.get('name')} already; `ccr config set` changes it.")
    return _with_providers(document, [*entries, dict(entry)])


def providers_in(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of ``Providers``, in either spelling."""
    entries = document.get("Providers") or document.get("providers") or []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _with_providers(document: Mapping[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    key = "providers" if "providers" in document and not document.get("Providers") else "Providers"
    return {**document, key: entries}


def _plain(route: str) -> str:
    return ",".join(part.strip() for part in route.split(",", 1)).lower()


def _index_of(entries: Sequence[Mapping[str, Any]], name: str) -> int | None:
    names = [str(entry.get("name", "")).lower() for entry in entries]
    return names.index(name.lower()) if name.lower() in names else None


def _listed(choices: Iterable[Choice]) -> str:
    routes = [choice.route for choice in choices]
    more = f" and {len(routes) - LISTED} more" if len(routes) > LISTED else ""
    return ", ".join(routes[:LISTED]) + more
