"""What ``ccr model`` shows and asks: routes by number or name, and models and providers to add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ccr.setup.route_choice import Choice

    Document = dict[str, Any]
    Faults = Callable[[Mapping[str, Any]], Sequence[str]]

MEANINGS: Final = {
    "default": "everything else",
    "background": "titles, summaries and other small work",
    "think": "requests for more thinking than usual",
    "longContext": "long conversations",
    "webSearch": "requests with web search",
    "image": "requests with images",
}
ADD: Final = "+"


def show(document: Mapping[str, Any], choices: Sequence[Choice]) -> None:
    """Print the routes, and the models that may be chosen, each with its number."""
    from ccr.setup.route_choice import KINDS, current

    routes = [current(document, kind) or "-" for kind in KINDS]
    kind_width, route_width = max(map(len, KINDS)), max(map(len, routes))
    for number, (kind, route) in enumerate(zip(KINDS, routes, strict=True), 1):
        click.echo(f"{number:3}  {kind:{kind_width}}  {route:{route_width}}  {MEANINGS[kind]}")
    click.echo("")
    for number, choice in enumerate(choices, 1):
        click.echo(f"{number:3}  {choice.route}{_note(choice)}")


def asked(document: Document, choices: list[Choice], faults: Faults) -> Document:
    """Ask for one kind after the other until the person is done; return what they want.

    faults: sentences on what is wrong with a document and was not before.
    """
    from ccr.errors import StartError
    from ccr.setup.route_choice import KINDS, NOTHING, choices_in, chosen_from, with_route

    show(document, choices)
    kinds = {str(number): kind for number, kind in enumerate(KINDS, 1)} | {
        kind.lower(): kind for kind in KINDS
    }
    while True:
        typed = _typed(f"\nWhich route (number or name; {ADD} adds a model or a provider; empty: done)")
        if not typed:
            return document
        if typed == ADD:
            changed = _with_addition(document)
            wrong = faults(changed)
            click.echo("".join(f"{sentence}\n" for sentence in wrong), nl=False)
            if wrong or changed == document:
                click.echo("Nothing was added.")
                continue
            document = changed
            served = [choice for choice in choices if not choice.is_configured]
            choices = _merged(choices_in(document, {}), served)
            show(document, choices)
            continue
        kind = kinds.get(typed.lower())
        if kind is None:
            click.echo(f"There is no {typed!r}; one of {', '.join(KINDS)}.")
            continue
        hint = "empty: as it is" if kind == "default" else f"{NOTHING} takes it out; empty: as it is"
        route = _typed(f"Model for {kind} (number or name; {hint})")
        if not route:
            continue
        try:
            is_taken_out = kind != "default" and route.lower() == NOTHING
            document = with_route(document, kind, None if is_taken_out else chosen_from(choices, route))
        except StartError as error:
            click.echo(str(error))


def step_from(text: str) -> Any:
    """Return a step of ``use`` from NAME or NAME=OPTIONS: a name, or name and options."""
    import json

    name, sign, options = text.partition("=")
    if not sign:
        return name
    try:
        value = json.loads(options)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise click.UsageError(f"--transformer {name}: the options are a JSON object")
    return [name, value]


def names_from(text: str) -> list[str]:
    """Return names that were written with commas."""
    return [each.strip() for each in text.split(",") if each.strip()]


def _note(choice: Choice) -> str:
    import datetime as dt

    from ccr.catalog.lookup import model_facts

    facts = model_facts(choice.model)
    notes = [] if choice.is_configured else ["served, not listed yet"]
    if facts is not None and facts.retires is not None:
        is_over = facts.retires <= dt.datetime.now(dt.UTC).date()
        notes.append(f"{'retired' if is_over else 'retires'} {facts.retires}")
    return f"  ({', '.join(notes)})" if notes else ""


def _with_addition(document: Document) -> Document:
    """Return the document with what the person adds; the same when they leave an answer empty."""
    from ccr.setup.route_choice import providers_in, with_model, with_provider

    known = {str(each.get("name")).lower(): str(each.get("name")) for each in providers_in(document)}
    name = _typed(f"Provider ({', '.join(known.values())}; another name adds a provider)")
    if name.lower() in known:
        model = _typed("Name of the model")
        return with_model(document, known[name.lower()], model, _steps()) if model else document
    address = _typed("URL of the endpoint with its path, or of a Databricks workspace") if name else ""
    if not address:
        return document
    is_workspace = urlsplit(address).path in ("", "/") or "://" not in address
    hint = "the login of the Databricks tools" if is_workspace else "none, for this machine"
    key = _typed(f"Key ($VARIABLE keeps it out of the file; empty: {hint})", hide_input=True)
    models = names_from(_typed("Names of its models, with commas"))
    if not models:
        return document
    steps = _steps()
    entry = {
        "name": name,
        "host" if is_workspace else "api_base_url": address,
        "api_key": key,
        "models": models,
        "transformer": {"use": steps} if steps else None,
    }
    return with_provider(document, {each: value for each, value in entry.items() if value})


def _steps() -> list[Any]:
    steps: list[Any] = []
    while typed := _typed("Transformer (NAME, or NAME=OPTIONS as JSON; empty: no more)"):
        try:
            steps.append(step_from(typed))
        except click.UsageError as error:
            click.echo(error.message.removeprefix("--transformer "))
    return steps


def _merged(configured: list[Choice], served: list[Choice]) -> list[Choice]:
    known = {choice.route.lower() for choice in configured}
    return [*configured, *(choice for choice in served if choice.route.lower() not in known)]


def _typed(question: str, *, hide_input: bool = False) -> str:
    return str(click.prompt(question, default="", show_default=False, hide_input=hide_input)).strip()
