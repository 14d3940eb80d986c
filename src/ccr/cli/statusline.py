"""``ccr statusline [PRESET]``: Claude Code's ``statusLine`` command. Always exit code 0, always one line."""

from __future__ import annotations

import os
import sys

import click

MAX_INPUT_BYTES = 4 * 1024 * 1024


@click.command()
@click.argument("preset", required=False)
def statusline(*, preset: str | None) -> None:
    """Print the status line for the JSON that Claude Code writes to stdin.

    In Claude Code's settings: "statusLine": {"type": "command", "command": "ccr statusline"}.
    What it shows stands in StatusLine of config.json, or of the PRESET's manifest.
    """
    from ccr.config.paths import Paths
    from ccr.statusline.line import status_line

    data = sys.stdin.buffer.read(MAX_INPUT_BYTES)
    try:
        paths = Paths.from_environ(os.environ)
    except Exception as error:  # noqa: BLE001 - the client shows our faults in place of its own work
        print(f"ccr statusline: {error}\n", file=sys.stderr)
        click.echo("")
        return
    files = [paths.config_file]
    log = paths.log_file
    if preset and preset == os.path.basename(preset) and not preset.startswith("."):  # noqa: PTH119 - a name only
        home = paths.home / "presets" / preset
        files.insert(0, home / "manifest.json")
        log = Paths(home / "service").log_file
    click.echo(status_line(data, files=tuple(files), log=log, environ=os.environ), color=True)
