"""``ccr start``, ``ccr stop``, ``ccr restart``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ccr.cli.warnings import show_warnings
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon import control
from ccr.daemon.identity import find_service

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.daemon.state import State


@click.command()
@click.option("--foreground", is_flag=True, help="Serve in this process until Ctrl-C or SIGTERM.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0.1),
    default=control.START_WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long the service may take to become healthy.",
)
def start(*, foreground: bool, wait_s: float) -> None:
    """Start the service in the background and wait until it has proven to be healthy.

    Starting a second time is no error: it says where the service is.
    """
    paths = Paths.from_environ(os.environ)
    if foreground:
        _serve_here(paths)
    config = _checked(paths)
    started = control.start(paths, os.environ, config, wait_s=wait_s)
    if not started.is_new:
        click.echo(f"ccr is already running at {started.state.address} (process {started.state.pid})")
        return
    show_warnings(config)
    click.echo(f"ccr is running at {started.state.address} (process {started.state.pid})")


@click.command()
@click.option("--now", is_flag=True, help="Cut running requests instead of letting them end.")
def stop(*, now: bool) -> None:
    """Stop the service: no new requests, running ones end (STOP_TIMEOUT_MS), then the process ends."""
    paths = Paths.from_environ(os.environ)
    _stop(paths, now=now)


@click.command()
@click.option("--now", is_flag=True, help="Cut running requests instead of letting them end.")
def restart(*, now: bool) -> None:
    """Have a new process serve, with this program and environment as they are now; no request is lost.

    The new process takes over the listening socket, the old one finishes what it is answering. Edits of
    config.json need no restart, except of HOST, PORT, APIKEY and AUTH. A configuration with problems stops
    nothing: the running service goes on.
    """
    paths = Paths.from_environ(os.environ)
    config = _checked(paths)
    done = control.restart(paths, os.environ, config, now=now, on_signal=_say_stopping)
    show_warnings(config)
    if done.previous is not None and done.is_followed:
        click.echo(f"process {done.previous.pid} finishes its running requests", err=True)
    click.echo(f"ccr is running at {done.state.address} (process {done.state.pid})")


def _checked(paths: Paths) -> Config:
    from ccr.transformers.registry import build  # these are imported late: `ccr stop` does not need them
    from ccr.upstream.identities import identities_of

    config = load_config(paths, os.environ, check_step=build)
    identities_of(config, os.environ)
    return config


def _stop(paths: Paths, *, now: bool) -> None:
    key = control.known_key(paths, os.environ)
    wait_s = control.end_wait_s(paths, os.environ)
    stopped = control.stop(paths, key, now=now, wait_s=wait_s, on_signal=_say_stopping)
    click.echo("ccr is not running" if stopped is None else f"ccr has stopped (process {stopped.pid})")


def _say_stopping(state: State) -> None:
    click.echo(f"stopping process {state.pid} …", err=True)


def _serve_here(paths: Paths) -> None:
    """Become the serving process; leaves with its exit code."""
    from ccr.daemon.main import run  # imported late: brings the event loop
    from ccr.daemon.report import Report

    show_warnings(_checked(paths))
    found = find_service(paths, control.known_key(paths, os.environ))
    if found.state is not None:
        click.echo(f"ccr is already running at {found.state.address} (process {found.state.pid})")
        raise SystemExit(0)

    def announce(address: str) -> None:
        click.echo(f"ccr is running at {address} (Ctrl-C ends it)")

    raise SystemExit(run(os.environ, Report(None), announce=announce))
