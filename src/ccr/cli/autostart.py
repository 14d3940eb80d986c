"""``ccr service install | uninstall | status``: ccr runs whenever the person is logged in.

Nothing is written or run before it was shown.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from ccr.config.load import load_config
from ccr.config.model import Config
from ccr.config.paths import Paths
from ccr.config.private import make_folder
from ccr.daemon import control
from ccr.daemon.unit import unit_for
from ccr.errors import CcrError, StartError
from ccr.setup.plan import Change, content_of, diff_of, write_kept

if TYPE_CHECKING:
    from ccr.daemon.unit import Unit

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask before writing and running.")
TIMEOUT_S = 120


@click.group()
def service() -> None:
    """Run ccr whenever you are logged in, by systemd (user unit) or launchd. Needs no root."""


@service.command()
@click.option("--print", "only_print", is_flag=True, help="Print the unit's file; write and run nothing.")
@yes_option
def install(*, only_print: bool, yes: bool) -> None:
    """Write the unit and start it; shown first, undone by `ccr service uninstall`."""
    paths, unit = _here()
    if only_print:
        click.echo(unit.content.decode(), nl=False)
        return
    load_config(paths, os.environ)  # a service that cannot start would be started again and again
    manager = unit.install[0][0]
    if shutil.which(manager) is None:
        raise StartError(
            f"{manager} was not found; `ccr service install --print` shows the unit for another manager."
        )
    change = _change(unit, unit.content)
    if change.is_needed:
        click.echo(diff_of(change) + "\n")
    _show("Then run", unit.install)
    if unit.supervisor == "systemd":
        click.echo(f"Variables that config.json names: write NAME=value lines into {paths.home}/service.env")
    if not yes and not click.confirm(f"Write {unit.path} and run these?", default=False):
        click.echo("Nothing was changed.")
        return
    wait_s = control.end_wait_s(paths, os.environ)
    control.stop(paths, control.known_key(paths, os.environ), wait_s=wait_s)  # one that was started by hand
    make_folder(unit.path.parent)
    write_kept(unit.path, unit.content)
    _run(unit.install)
    click.echo("ccr runs now and after each login; `ccr service uninstall` undoes this.")


@service.command()
@yes_option
def uninstall(*, yes: bool) -> None:
    """Stop the service, and remove the unit."""
    _, unit = _here()
    if content_of(unit.path) is None:
        click.echo(f"There is no {unit.path}.")
        return
    _show("Run", unit.uninstall)
    if not yes and not click.confirm(f"Run this and remove {unit.path}?", default=True):
        click.echo("Nothing was changed.")
        return
    _run(unit.uninstall, may_fail=True)
    unit.path.unlink(missing_ok=True)
    _run(unit.after_removal, may_fail=True)
    click.echo(f"{unit.path} removed; `ccr start` and `ccr code` work as before.")


@service.command()
def status() -> None:
    """Show whether the unit is installed, as it would be now, and runs. Exit code 0: it runs, 3: not."""
    _, unit = _here()
    found = content_of(unit.path)
    if found is None:
        click.echo(f"not installed ({unit.path})")
        raise SystemExit(3)
    word = "installed" if found == unit.content else "installed, with another content than it would have now"
    click.echo(f"{word}: {unit.path}")
    is_running = _exit_code(unit.is_running) == 0
    click.echo(f"{'running' if is_running else 'not running'} by {unit.supervisor}")
    raise SystemExit(0 if is_running else 3)


def _here() -> tuple[Paths, Unit]:
    paths = Paths.from_environ(os.environ)
    try:
        stop_timeout_s = load_config(paths, os.environ).stop_timeout_s
    except CcrError:
        stop_timeout_s = Config.stop_timeout_s
    unit = unit_for(
        paths,
        os.environ,
        platform=sys.platform,
        python=sys.executable,
        uid=os.getuid(),
        stop_timeout_s=stop_timeout_s,
    )
    return paths, unit


def _change(unit: Unit, new: bytes) -> Change:
    old = content_of(unit.path)
    return Change(unit.path, old, new, (old or b"").decode(errors="replace"), new.decode())


def _show(word: str, commands: tuple[tuple[str, ...], ...]) -> None:
    click.echo(f"{word}:")
    for command in commands:
        click.echo(f"  {shlex.join(command)}")


def _run(commands: tuple[tuple[str, ...], ...], *, may_fail: bool = False) -> None:
    for command in commands:
        code = _exit_code(command, is_shown=True)
        if code and not may_fail:
            raise StartError(
                f"`{shlex.join(command)}` failed (exit code {code}). The unit is written and ccr does not "
                "run: `ccr service uninstall` removes it, `ccr start` starts ccr as before."
            )


def _exit_code(command: tuple[str, ...], *, is_shown: bool = False) -> int:
    output = None if is_shown else subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603 - one of the fixed command lines of unit.py
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return 127  # as the shell says it; install has looked for it before
    except subprocess.TimeoutExpired as error:
        raise StartError(f"`{shlex.join(command)}` did not end within {TIMEOUT_S} s.") from error
    return done.returncode
