"""``ccr model``: which model serves which kind of request; more models and providers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.setup.config_change import Written
    from ccr.setup.route_choice import Choice

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask before writing.")
transformer_option = click.option(
    "--transformer",
    "transformers",
    multiple=True,
    metavar="NAME[=OPTIONS]",
    help="A transformer, with options as JSON; may be repeated.",
)


@click.group(invoke_without_command=True)
@click.option("--default", help="Route of everything else: PROVIDER,MODEL or a model's name.")
@click.option("--background", help="Route of background work; none takes it out.")
@click.option("--think", help="Route of requests for more thinking.")
@click.option("--long-context", help="Route of long conversations.")
@click.option("--web-search", help="Route of requests with web search.")
@click.option("--image", help="Route of requests with images.")
@click.option("--list", "lists", is_flag=True, help="Only show the routes and the models there are.")
@yes_option
@click.pass_context
def model(context: click.Context, /, *, lists: bool, yes: bool, **routes: str | None) -> None:
    """Choose the models for default, background, think, longContext, webSearch and image.

    Without options it asks, also for models and providers to add. Comments and order of config.json stay, and
    a backup is kept.
    """
    if context.invoked_subcommand is not None:
        return
    from ccr.cli.model_questions import asked, show
    from ccr.setup.route_choice import NOTHING, chosen_from, with_route

    written, choices = _read()
    wanted = {_kind(name): route for name, route in routes.items() if route is not None}
    if lists:
        show(written.document, choices)
        return
    document = dict(written.document)
    if not wanted:
        _write(written, asked(document, choices, _new_faults(written)), asks=not yes)
        return
    for kind, route in wanted.items():
        is_taken_out = route.strip().lower() == NOTHING and kind != "default"
        document = with_route(document, kind, None if is_taken_out else chosen_from(choices, route))
    _write(written, document, asks=False)


@model.command("add-model")
@click.argument("provider")
@click.argument("name")
@transformer_option
@yes_option
def add_model(*, provider: str, name: str, transformers: tuple[str, ...], yes: bool) -> None:
    """Add a model to a provider; transformers are for that model alone."""
    from ccr.cli.model_questions import step_from
    from ccr.setup.route_choice import with_model

    written, _ = _read()
    steps = [step_from(text) for text in transformers]
    _write(written, with_model(written.document, provider, name, steps), asks=not yes)


@model.command("add-provider")
@click.argument("name")
@click.option("--url", help="Its api_base_url.")
@click.option("--key", help="Its api_key; $VARIABLE keeps it out of the file, - reads it from stdin.")
@click.option("--models", required=True, help="Its models, with commas.")
@click.option("--host", help="The Databricks workspace, in place of --url and --key.")
@click.option("--profile", help="A profile of ~/.databrickscfg, likewise.")
@transformer_option
@yes_option
def add_provider(
    *, name: str, models: str, key: str | None, transformers: tuple[str, ...], yes: bool, **places: str | None
) -> None:
    """Add a provider."""
    import sys

    from ccr.cli.model_questions import names_from, step_from
    from ccr.setup.route_choice import with_provider

    written, _ = _read()
    given = sys.stdin.read().strip() if key == "-" else key
    keys = {
        "name": name,
        "api_base_url": places["url"],
        "host": places["host"],
        "profile": places["profile"],
        "api_key": given,
        "models": names_from(models),
        "transformer": {"use": [step_from(text) for text in transformers]} if transformers else None,
    }
    entry = {each: value for each, value in keys.items() if value is not None}
    _write(written, with_provider(written.document, entry), asks=not yes)


def _kind(option: str) -> str:
    first, *rest = option.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _read() -> tuple[Written, list[Choice]]:
    from ccr.config.load import load_config
    from ccr.config.paths import Paths
    from ccr.errors import ConfigError
    from ccr.setup.config_change import read_written
    from ccr.setup.route_choice import choices_in
    from ccr.upstream.discovered import read_discovered, workspace_of

    paths = Paths.from_environ(os.environ)
    written = read_written(paths.config_file)
    try:
        config = load_config(paths, os.environ)
    except ConfigError:
        return written, choices_in(written.document, {})  # a broken configuration may be mended here
    remembered = read_discovered(paths)
    served = {}
    for provider in config.providers:
        found = remembered.get(workspace_of(provider) or "")
        served[provider.name] = [each.name for each in found.models if each.is_chat] if found else []
    return written, choices_in(written.document, served)


def _new_faults(written: Written) -> Callable[[Mapping[str, Any]], list[str]]:
    """Return what tells the problems of a document that the file has not yet."""
    from ccr.errors import ConfigError
    from ccr.setup.config_change import planned
    from ccr.transformers.registry import build

    def problems_of(document: Mapping[str, Any]) -> list[str]:
        try:
            planned(written, document, os.environ, check_step=build)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    known = problems_of(written.document)
    return lambda document: [each for each in problems_of(document) if each not in known]


def _write(written: Written, document: dict[str, Any], *, asks: bool) -> None:
    from ccr.cli.warnings import show_warnings
    from ccr.cli.written import show_written
    from ccr.setup.config_change import planned, write_planned
    from ccr.setup.plan import diff_of
    from ccr.transformers.registry import build

    change, config = planned(written, document, os.environ, check_step=build)
    if not change.is_needed:
        click.echo("Nothing changes.")
        return
    click.echo(diff_of(change))
    if asks and not click.confirm(f"Write {change.path}?", default=True):
        click.echo("Nothing was written.")
        return
    backup = write_planned(change)
    show_warnings(config, with_notes=False)
    show_written(change.path, backup)
