"""``ccr route explain``: which route a request would take, and what would be sent, without sending it."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

import click

from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths

PATHS: Final = {False: "/v1/messages", True: "/v1/chat/completions"}
TIMEOUT_S: Final = 30.0


@click.group()
def route() -> None:
    """Show how requests find their routes."""


@route.command()
@click.argument("file", type=click.File("rb"))
@click.option("--chat", is_flag=True, help="The request is one of /v1/chat/completions.")
@click.option("--session", metavar="ID", help="The session it belongs to, for the Router of a project.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer, with the request's body.")
def explain(*, file: Any, chat: bool, session: str | None, as_json: bool) -> None:
    """Explain the request in FILE (- reads stdin): its route, the rules tried, what would be sent.

    The running service answers, with what it knows of the session; without one the configuration does.
    Nothing is sent to a model.
    """
    from ccr.config.paths import Paths

    paths = Paths.from_environ(os.environ)
    body = file.read()
    values = _asked(paths, body, chat=chat, session=session)
    if values is None:
        values = asyncio.run(_explained(paths, os.environ, body, chat=chat, session=session))
    if as_json:
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    for line in lines_of(values):
        click.echo(line)


def lines_of(values: Mapping[str, Any]) -> list[str]:
    """Return an explanation for a person."""
    router = {"config": ""}.get(values["router"], f" (Router of the {values['router']})")
    lines = [f"{values['model']} -> {values['route']} by the rule {values['rule']}{router}"]
    lines += [f"  {tried['rule']:<12} {tried['why']}" for tried in values["tried"]]
    if values["alternatives"]:
        lines.append(f"when it fails: {', '.join(values['alternatives'])}")
    if values["image_agent"]:
        lines.append(f"images: taken out; {values['image_agent']} looks at them")
    if values["changed"]:
        lines.append(f"changed: {', '.join(values['changed'])}")
    sent = values["request"]
    if sent is not None:
        lines.append(f"{sent['method']} {sent['url']}")
        lines += [f"  {name}: {value}" for name, value in sent["headers"].items()]
        most = values["limits"]["max_payload_bytes"]
        limit = f" of at most {most}" if most else ""
        lines.append(f"  {sent['body_bytes']} bytes{limit}; --json shows them")
    if "problem" in values:
        lines.append(f"problem: {values['problem']}")
    return lines


def _asked(paths: Paths, body: bytes, *, chat: bool, session: str | None) -> dict[str, Any] | None:
    """Return the running service's explanation, None when none runs. Raises StartError when it refuses."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    from ccr.daemon.control import known_key
    from ccr.daemon.identity import find_service

    key = known_key(paths, os.environ)
    found = find_service(paths, key)
    if found.condition != "running" or found.state is None or key is None:
        return None
    headers = {"content-type": "application/json", "x-api-key": key.reveal(), "x-ccr-explain": "1"}
    if session is not None:
        headers["x-claude-code-session-id"] = session
    connection = HTTPConnection(urlsplit(found.state.address).netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", PATHS[chat], body, headers)
        answer = connection.getresponse()
        values: dict[str, Any] = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as error:
        raise StartError(f"the service did not explain the request: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise StartError(f"the request would be refused: {values['error']['message']}")
    return values


async def _explained(
    paths: Paths, environ: Mapping[str, str], body: bytes, *, chat: bool, session: str | None
) -> dict[str, Any]:
    """Return the configuration's explanation. Raises StartError when the request would be refused."""
    import logging

    from ccr.config.load import load_config
    from ccr.config.model import Secret
    from ccr.daemon.log import secrets_of
    from ccr.errors import ApiError
    from ccr.gateway.projects import Folders
    from ccr.gateway.replies import Client
    from ccr.plugins.hosting import plugin_loader
    from ccr.server.app import make_app
    from ccr.transformers.registry import build

    config = load_config(paths, environ, check_step=build)
    log = logging.Logger("ccr.explain", logging.WARNING)  # noqa: LOG001 - of this command alone
    log.addHandler(logging.StreamHandler())
    load = plugin_loader(
        paths.home, environ, secrets=lambda loaded: secrets_of(loaded, Secret(""), environ), log=log
    )
    app = make_app(
        config,
        key=Secret(""),
        instance="explain",
        ports=(),
        log=log,
        folders=Folders.from_environ(paths.home, environ),
        plugins=await load(config),
    )
    try:
        explaining = app.gateway.explaining
        asked = explaining.chat_completions if chat else explaining.messages
        reply = await asked(body, Client(request_id="explain", session_id=session))
    except ApiError as error:
        raise StartError(f"the request would be refused: {error.message}") from error
    finally:
        await app.close()
    values: dict[str, Any] = json.loads(reply.body)
    return values
