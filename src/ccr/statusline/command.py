"""stdin to stdout: the command without a command line parser, which would be a third of its time."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ccr.config.paths import Paths
from ccr.errors import StartError
from ccr.statusline.line import status_line

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_INPUT_BYTES = 4 * 1024 * 1024


def print_line(preset: str | None, environ: Mapping[str, str]) -> None:
    """Print the line for what stands on stdin; always a line, possibly empty. preset: whose StatusLine."""
    data = _told()
    try:
        paths = Paths.from_environ(environ)
    except StartError as error:
        print(f"ccr statusline: {error}", file=sys.stderr)
        _write("")
        return
    files = [paths.config_file]
    log = paths.log_file
    if preset and preset == os.path.basename(preset) and not preset.startswith("."):  # noqa: PTH119 - a name only
        home = paths.home / "presets" / preset
        service = Paths(home / "service")
        # the configuration of its service has the answers filled in; it is there once the preset has run
        files = [service.config_file, home / "manifest.json", *files]
        log = service.log_file
    _write(status_line(data, files=tuple(files), log=log, environ=environ))


def _told() -> bytes:
    """Return what stands on stdin; nothing where there is none, or it cannot be read."""
    try:
        return sys.stdin.buffer.read(MAX_INPUT_BYTES) if sys.stdin is not None else b""
    except OSError as error:
        print(f"ccr statusline: {error}", file=sys.stderr)
        return b""


def _write(line: str) -> None:
    """Write to stdout; where nobody takes it (a full disk, a client that has gone) nothing is left to do."""
    if sys.stdout is None:
        return
    try:
        # whatever the locale says: the client reads UTF-8
        sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        print(f"ccr statusline: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again at its end
