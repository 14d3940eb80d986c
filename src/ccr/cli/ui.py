"""``ccr ui``: the pages, from a server of this process, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.ui.session import Session

DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Listen on this port of 127.0.0.1; without it, on any free one.",
)
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
def ui(*, port: int, no_open: bool) -> None:
    """Open the pages: the service, its configuration, tests of connections, logs, routes.

    They are served by this command alone, on 127.0.0.1, until Ctrl-C; the service has no page. The address
    holds a key that is made anew each time.
    """
    import asyncio

    from ccr.cli.status_report import status_values
    from ccr.config.paths import Paths
    from ccr.ui.app import serve
    from ccr.ui.calls import Around
    from ccr.ui.session import Session

    session = Session()
    around = Around(
        paths=Paths.from_environ(os.environ), environ=os.environ, status=lambda: status_values(os.environ)
    )

    def on_ready(taken: int) -> None:
        click.echo(f"ccr ui: {session.printed_address(taken)}")
        click.echo("Whoever has this address has these pages: keep it to yourself. Ctrl-C ends them.")
        if os.environ.get("SSH_CONNECTION"):
            click.echo(
                f"From your own machine: ssh -L {taken}:127.0.0.1:{taken} …, then open the address there."
            )
        if not no_open:
            _open(session, taken)

    asyncio.run(serve(around, session, port=port, on_ready=on_ready))


def can_open(environ: Mapping[str, str], platform: str) -> bool:
    """Tell whether there is a browser with a window: one in this terminal would take it over."""
    return platform == "darwin" or any(environ.get(name) for name in DISPLAYS)


def _open(session: Session, port: int) -> None:
    """Open the browser, in a thread: some of them return only when they are closed."""
    if not can_open(os.environ, sys.platform):
        return
    import threading
    import webbrowser

    address = session.opened_address(port)
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
