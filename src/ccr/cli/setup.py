"""``ccr setup``: from a workspace's address to a configuration that is proven to work.

Every question is also an option. Whoever gives ``--yes`` is asked nothing; ``--devbox`` implies it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ccr.cli.setup_writing import add_alias, install_claude_if_missing, tell_next_steps, write_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.config.paths import Paths
    from ccr.setup.session import Session, Sight
    from ccr.setup.who import Asked, Who

NO_HOST = "Which workspace? Give --host https://<workspace>, or --profile, or set DATABRICKS_HOST."
NO_IDENTITY = (
    "Nothing says who you are to the workspace. Give --token-env NAME (a variable that holds a token), "
    "--profile NAME (of ~/.databrickscfg), or --auth databricks-cli after `databricks auth login`."
)


@dataclass(frozen=True)
class Choices:
    """The options, as click hands them over."""

    asked: Asked
    models: tuple[str, ...]
    name: str
    api: Any
    ways: Mapping[str, str]
    asks: bool
    is_devbox: bool
    with_proof: bool
    replaces: bool


@click.command()
@click.option("--host", help="The workspace's URL; https:// may be left out.")
@click.option("--profile", help="A profile of ~/.databrickscfg, for host and identity.")
@click.option("--token-env", metavar="NAME", help="The variable that holds a token; its name is written.")
@click.option("--auth", metavar="TYPE", help="auto, oauth-m2m, databricks-cli … as the Databricks tools.")
@click.option(
    "--store-token", is_flag=True, help="Write the token itself to config.json (asked for, or --token-env's)."
)
@click.option("--model", "models", multiple=True, help="An endpoint to use, the default first; repeatable.")
@click.option(
    "--api",
    type=click.Choice(["chat", "anthropic"]),
    default="chat",
    show_default=True,
    help="The workspace's dialect to use.",
)
@click.option("--proxy", metavar="URL", help="The proxy on the way there, for PROXY_URL; env: HTTPS_PROXY's.")
@click.option("--ca-file", metavar="FILE", help="Certificates (PEM) to trust as well, for CA_FILE.")
@click.option("--name", default="databricks", show_default=True, help="The provider's name in config.json.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take what was found.")
@click.option(
    "--devbox", is_flag=True, help="Databricks Devbox or App: from the environment alone, --yes --alias."
)
@click.option(
    "--alias/--no-alias", default=None, help="Define the alias cc for `ccr code` in the shell files."
)
@click.option("--install-claude", is_flag=True, help="Install Claude Code with npm when it is missing.")
@click.option("--no-proof", is_flag=True, help="Do not call the chosen models.")
@click.option("--replace", is_flag=True, help="Begin a new config.json; the old one is kept as a backup.")
def setup(
    *,
    host: str | None,
    profile: str | None,
    token_env: str | None,
    auth: str | None,
    store_token: bool,
    models: tuple[str, ...],
    api: str,
    proxy: str | None,
    ca_file: str | None,
    name: str,
    yes: bool,
    devbox: bool,
    alias: bool | None,
    install_claude: bool,
    no_proof: bool,
    replace: bool,
) -> None:
    """Find the workspace, prove identity and models with real calls, write config.json.

    Nothing is written before it was shown. Run it again whenever something changed.
    """
    from ccr.config.paths import Paths
    from ccr.setup.who import Asked

    asks = not (yes or devbox)
    if sum(option is not None for option in (profile, token_env, auth)) > 1:
        raise click.UsageError("--profile, --token-env and --auth exclude each other")
    choices = Choices(
        asked=Asked(host, profile, token_env, auth),
        models=models,
        name=name,
        api=api,
        ways={key: way for key, way in (("PROXY_URL", proxy), ("CA_FILE", ca_file)) if way is not None},
        asks=asks,
        is_devbox=devbox,
        with_proof=not no_proof,
        replaces=replace,
    )
    paths = Paths.from_environ(os.environ)
    session = _session(paths, choices, stores_token=store_token)
    sight = _look(session)
    chosen = _models(session, sight, choices)
    is_written = write_shown(session, chosen, asks=asks)
    if install_claude:
        install_claude_if_missing(paths)
    if alias or (devbox and alias is None):
        add_alias(asks=asks)
    if is_written:
        _remember(paths, session.url, sight)
        tell_next_steps(paths, session, chosen)


def _session(paths: Paths, choices: Choices, *, stores_token: bool) -> Session:
    from ccr.setup.profiles import hosts_of_profiles
    from ccr.setup.session import Session, document_in
    from ccr.setup.who import host_of

    old, written = document_in(paths.config_file, replaces=choices.replaces)
    profiles = hosts_of_profiles(os.environ)
    url = host_of(choices.asked, os.environ, profiles)
    if choices.asks and choices.asked.host is None and choices.asked.profile is None:
        url = _ask_host(url)
    if url is None:
        raise click.UsageError(NO_HOST)
    who = _who(choices, url, profiles, stores_token=stores_token)
    click.echo(f"Workspace  {url}\nIdentity   {who.method}")
    return Session(
        paths.config_file, old, written, os.environ, choices.name, url, who.keys, choices.api, choices.ways
    )


def _ask_host(found: str | None) -> str:
    from ccr.config.address import workspace_url

    while True:
        written = click.prompt("Workspace URL", default=found)
        try:
            return workspace_url(written)
        except ValueError as error:
            click.echo(f"  {error}")


def _who(choices: Choices, url: str, profiles: dict[str, str], *, stores_token: bool) -> Who:
    from ccr.setup.who import Asked, Who, who_calls

    if stores_token:
        variable = choices.asked.token_env
        token = os.environ.get(variable, "") if variable else ""
        if not token and choices.asks:
            token = click.prompt("Token", hide_input=True)
        if not token:
            raise click.UsageError("--store-token needs --token-env NAME, or an answer to its question")
        return Who({"api_key": token.strip().replace("$", "$$")}, "a token, written to config.json as asked")
    who = who_calls(choices.asked, url, os.environ, profiles, prefers_principal=choices.is_devbox)
    if who is None and choices.asks:
        variable = click.prompt("Variable that holds a token (- for the Databricks CLI's login)", default="-")
        asked = Asked(auth="databricks-cli") if variable == "-" else Asked(token_env=variable.lstrip("$"))
        who = who_calls(asked, url, os.environ, profiles)
    if who is None:
        raise click.UsageError(NO_IDENTITY)
    return who


def _remember(paths: Paths, url: str, sight: Sight) -> None:
    """Remember what the workspace serves; a second run that finds the same writes nothing."""
    from ccr.upstream.discovered import read_discovered, write_discovered

    known = read_discovered(paths).get(url)
    if known is None or known.models != sight.discovery.models:
        write_discovered(paths, url, sight.discovery.models, at=time.time())


def _look(session: Session) -> Sight:
    import asyncio

    from ccr.errors import StartError, UpstreamError
    from ccr.setup.session import look

    try:
        sight = asyncio.run(look(session))
    except UpstreamError as error:
        raise StartError(
            f"{error.message}.{_way_there(session, error.message)}\n"
            "`ccr doctor` looks closer once there is a configuration."
        ) from error
    _tell(sight)
    return sight


def _way_there(session: Session, message: str) -> str:
    """Return what may be missing on the way to a workspace that was not reached."""
    from ccr.config.network import ENVIRONMENT, PROXY_KEYS

    if "certificate" in message:
        return "\n--ca-file FILE trusts the company's certificate authority."
    named = next((name for name in ENVIRONMENT if os.environ.get(name, "").strip()), None)
    is_told = any(key in session.document(["m"]) for key in PROXY_KEYS)
    if named is None or is_told:
        return ""
    return f"\n{named} is set, but ccr asks a proxy only when told to: --proxy env."


def _models(session: Session, sight: Sight, choices: Choices) -> tuple[str, ...]:
    """Return the models to configure, the default first, each of them proven unless that was declined."""
    import asyncio
    import datetime as dt

    from ccr.errors import StartError, UpstreamError
    from ccr.setup.families import ranked_by_family
    from ccr.setup.session import earlier_models, prove_best, prove_models

    today = dt.datetime.now(dt.UTC).date()
    ranked = ranked_by_family(sight.discovery.models, today)
    if choices.models:
        return _proven(session, sight, choices.models, choices)
    if not ranked:
        raise StartError(f"{session.url} lists no Claude model that is ready; name one with --model.")
    best = {family: names[0] for family, names in ranked.items()}
    click.echo("Proposed   " + ", ".join(f"{model} ({family})" for family, model in best.items()))
    if choices.asks:
        written = click.prompt("Models, the default first", default=",".join(best.values()))
        names = tuple(dict.fromkeys(part.strip() for part in written.split(",") if part.strip()))
        if names != tuple(best.values()):
            return _proven(session, sight, names, choices)
    models = tuple(best.values())
    if choices.with_proof:
        try:
            proven = asyncio.run(prove_best(session, sight.identity, ranked))
        except UpstreamError as error:
            raise StartError(error.message) from error
        for sentence in (*proven.refused, *proven.busy):
            click.echo(f"           {sentence}")
        click.echo(f"Proven     {', '.join(proven.models)}")
        models = proven.models
    earlier = earlier_models(session, sight.discovery, models, today)
    if earlier and choices.with_proof:
        proofs = asyncio.run(prove_models(session, sight.identity, earlier))
        earlier = [model for model, proof in proofs.items() if proof.error is None or proof.is_busy]
    if earlier:
        click.echo(f"Kept       {', '.join(earlier)}")
    return (*models, *earlier)


def _tell(sight: Sight) -> None:
    if sight.person:
        click.echo(f"You are    {sight.person}")
    served = sum(model.is_chat for model in sight.discovery.models)
    click.echo(f"Served     {served} models that hold conversations")
    for problem in sight.problems:
        click.echo(f"           note: {problem}")


def _proven(session: Session, sight: Sight, names: Sequence[str], choices: Choices) -> tuple[str, ...]:
    """Return the named models that answered; all of them have to, unless the person leaves one out."""
    import asyncio

    from ccr.errors import StartError
    from ccr.setup.session import prove_models

    if not choices.with_proof:
        return tuple(names)
    kept = []
    for model, proof in asyncio.run(prove_models(session, sight.identity, names)).items():
        if proof.error is not None:
            click.echo(f"           {model}: {proof.error}")
        is_usable = proof.error is None or proof.is_busy
        if is_usable:
            kept.append(model)
        elif not choices.asks or not click.confirm(f"Go on without {model}?", default=True):
            raise StartError(f"{model} does not answer; nothing was written.")
    if not kept:
        raise StartError("No model is left; nothing was written.")
    click.echo(f"Proven     {', '.join(kept)}")
    return tuple(kept)
