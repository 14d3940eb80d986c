"""``ccr sandbox``: a strict Databricks workspace on this machine, for trying things out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ccr.errors import StartError

if TYPE_CHECKING:
    from ccr.sandbox import Workspace

TOKEN_VARIABLE = "CCR_SANDBOX_TOKEN"  # noqa: S105 - the name of a variable


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 takes a free one."
)
@click.option("--token", envvar=TOKEN_VARIABLE, help=f"Bearer token to ask for (or {TOKEN_VARIABLE}).")
@click.option("--script", type=click.Path(path_type=Path), help="JSON file with what the model says.")
@click.option(
    "--token-lifetime",
    type=click.FloatRange(min=1),
    default=3600.0,
    help="Seconds that the service principal's tokens live.",
)
@click.option(
    "--native",
    type=click.Choice(["both", "serving", "gateway", "none"]),
    default="both",
    help="Native Anthropic routes that the workspace has.",
)
@click.option("--json", "as_json", is_flag=True, help="Print address and configuration as one line of JSON.")
def sandbox(
    port: int,
    token: str | None,
    script: Path | None,
    token_lifetime: float,
    native: Literal["both", "serving", "gateway", "none"],
    as_json: bool,
) -> None:
    """Serve a strict Databricks workspace on 127.0.0.1 until Ctrl-C.

    It needs no network and no account. docs/sandbox.md says what it checks and how to script it.
    """
    from ccr.sandbox import Workspace, load_script  # imported late: no other command needs a server
    from ccr.sandbox.access import DEFAULT_CLIENT, DEFAULT_TOKEN

    try:
        workspace = Workspace(
            load_script(script) if script else None,
            token=token or DEFAULT_TOKEN,
            port=port,
            # who chose a token of their own wants nothing else to be taken
            clients={} if token else dict([DEFAULT_CLIENT]),
            token_lifetime_s=token_lifetime,
            native=native,
        )
        shown_token = DEFAULT_TOKEN if workspace.token == DEFAULT_TOKEN else f"${TOKEN_VARIABLE}"
        asyncio.run(_serve(workspace, shown_token, as_json=as_json))
    except OSError as error:
        raise StartError(f"Port {port} cannot be used: {error.strerror or error}") from error


async def _serve(workspace: Workspace, shown_token: str, *, as_json: bool) -> None:
    """Serve until a signal; the own token is never shown, only the variable it may be put into."""
    from ccr.sandbox.example_config import example_config

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(
            NotImplementedError
        ):  # systems without signal handlers raise KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with workspace:
        config = example_config(workspace.url, shown_token, workspace.models)
        click.echo(_json_text(workspace, config) if as_json else _text(workspace, shown_token, config))
        await ended.wait()


def _json_text(workspace: Workspace, config: dict[str, Any]) -> str:
    told = {"url": workspace.url, "models": workspace.models, "config": config}
    return json.dumps(told | {"clients": workspace.identities.clients})


def _text(workspace: Workspace, shown_token: str, config: dict[str, Any]) -> str:
    clients = [
        f"client    DATABRICKS_CLIENT_ID={name} DATABRICKS_CLIENT_SECRET={secret}"
        for name, secret in workspace.identities.clients.items()
    ]
    return "\n".join(
        [
            f"sandbox   {workspace.url}",
            f"token     {shown_token}",
            *clients,
            f"models    {', '.join(workspace.models)}",
            "",
            "A configuration for ccr (config.json in ~/.claude-code-router, or in CCR_HOME):",
            json.dumps(config, indent=2),
            "",
            "Ctrl-C ends it.",
        ]
    )
