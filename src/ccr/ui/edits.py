"""The changes of config.json that the page may ask for, each made on the document as written. Pure.

What is not in this table cannot be changed from the page: nothing that names a program or a file of code
(``transformers``, ``CUSTOM_ROUTER_PATH``, ``CLAUDE_PATH`` …), an address, or who is let in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from ccr.config.key_path import document_with, document_without
from ccr.config.model import LogLevel
from ccr.config.router import THRESHOLD
from ccr.errors import RequestError
from ccr.setup.route_choice import KINDS, Choice, chosen_from, providers_in, with_model, with_route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Document = dict[str, Any]

LEVELS: Final = get_args(LogLevel)
MAX_KEY_CHARS: Final = 4096


def edited(document: Mapping[str, Any], change: Mapping[str, Any], choices: Sequence[Choice]) -> Document:
    """Return the document with a change. choices: the models that a route may lead to.

    Raises RequestError on a change of another form, StartError on a model or provider that is not there.
    """
    what = change.get("what")
    make = CHANGES.get(what) if isinstance(what, str) else None
    if make is None:
        raise RequestError(f"the page can change {', '.join(CHANGES)}, and nothing else")
    return make(document, change, choices)


def _with_route(
    document: Mapping[str, Any], change: Mapping[str, Any], choices: Sequence[Choice]
) -> Document:
    kind, route = _text(change, "kind"), change.get("route")
    if kind not in KINDS:
        raise RequestError(f"there is no kind of requests of that name; there are {', '.join(KINDS)}")
    if route is None and kind != "default":
        return with_route(document, kind, None)
    return with_route(document, kind, chosen_from(choices, _text(change, "route")))


def _with_threshold(document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]) -> Document:
    value = change.get("value")
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError("the threshold is a whole number of tokens")
    return dict(document_with(document, ("Router", THRESHOLD), value))


def _with_level(document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]) -> Document:
    if change.get("value") not in LEVELS:
        raise RequestError(f"the log has the levels {', '.join(LEVELS)}")
    return {**document, "LOG_LEVEL": change["value"]}


def _with_image_agent(
    document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]
) -> Document:
    if not isinstance(change.get("value"), bool):
        raise RequestError("the image agent is on or off")
    return {**document, "forceUseImageAgent": change["value"]}


def _with_model(document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]) -> Document:
    model = _text(change, "model").strip()
    if not model:
        raise RequestError("a model has a name")
    return with_model(document, _text(change, "provider"), model)


def _without_model(document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]) -> Document:
    key, at = _place_of(document, _text(change, "provider"))
    models = document[key][at].get("models")
    model = _text(change, "model")
    if not isinstance(models, list) or model not in models:
        raise RequestError("this provider has no model of that name")
    return dict(document_without(document, (key, at, "models", models.index(model))))


def _with_key(document: Mapping[str, Any], change: Mapping[str, Any], _: Sequence[Choice]) -> Document:
    value = _text(change, "value").strip()
    if not value or len(value) > MAX_KEY_CHARS or not value.isprintable():
        raise RequestError("a key is a text of one line")
    return dict(document_with(document, (*_place_of(document, _text(change, "provider")), "api_key"), value))


def _place_of(document: Mapping[str, Any], name: str) -> tuple[str, int]:
    """Return where a provider stands: its list's key, and its index there."""
    key = "Providers" if document.get("Providers") else "providers"
    for index, entry in enumerate(document.get(key) or ()):
        if isinstance(entry, dict) and str(entry.get("name", "")) == name:
            return key, index
    known = ", ".join(str(each.get("name")) for each in providers_in(document)) or "none"
    raise RequestError(f"there is no provider of that name; there are {known}")


def _text(change: Mapping[str, Any], name: str) -> str:
    value = change.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{name} must be a text")
    return value


CHANGES: Final[dict[str, Callable[[Mapping[str, Any], Mapping[str, Any], Sequence[Choice]], Document]]] = {
    "route": _with_route,
    "threshold": _with_threshold,
    "log_level": _with_level,
    "image_agent": _with_image_agent,
    "add_model": _with_model,
    "remove_model": _without_model,
    "key": _with_key,
}
