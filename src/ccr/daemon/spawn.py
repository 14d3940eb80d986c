"""Starting the serving process in the background and hearing how that went.

Imported only when there is something to start: ``subprocess`` costs more than a status query.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ccr.config.private import FILE_MODE, make_private_folder
from ccr.daemon.report import Outcome, await_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths

START_LOG_BYTES = 1_000_000
LAST_LINES = 12


def spawn(paths: Paths, environ: Mapping[str, str], wait_s: float, *, follows: bool = False) -> Outcome:
    """Start a serving process, detached from this one, and wait for its outcome.

    The process gets the whole environment (the configuration may name any variable), the home folder as its
    working directory, and the start log as stdout and stderr. One that is late is ended. The sentence of a
    death is what the start log got. follows: it takes over from the serving process. Raises OSError.
    """
    make_private_folder(paths.home)
    make_private_folder(paths.log_dir)
    reading, writing = os.pipe()
    try:
        with contextlib.closing(os.fdopen(_start_log(paths), "ab")) as log:
            offset = log.seek(0, os.SEEK_END)
            try:
                command = [sys.executable, "-P", "-m", "ccr.daemon", "--background", "--report", str(writing)]
                command += ["--follow"] if follows else []
                subprocess.run(  # noqa: S603 - our own interpreter and module; returns at once, the child detaches
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=paths.home,
                    env={**environ, "CCR_HOME": str(paths.home)},
                    pass_fds=[writing],
                    start_new_session=True,
                    check=False,
                )
            finally:
                os.close(writing)
        outcome = await_outcome(reading, wait_s)
    finally:
        os.close(reading)
    if outcome.word == "late" and outcome.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(
                outcome.pid, signal.SIGTERM
            )  # its pipe was open until now: it is the one that told its pid
    if outcome.word in ("late", "died"):
        return replace(outcome, sentence=_last_words(paths, offset))
    return outcome


def _last_words(paths: Paths, offset: int) -> str:
    """Return the last lines that were added to the start log."""
    lines = paths.start_log.read_bytes()[offset:].decode(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines)


def _start_log(paths: Paths) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(paths.start_log, flags, FILE_MODE)
    if os.fstat(descriptor).st_size > START_LOG_BYTES:
        os.ftruncate(descriptor, 0)
    return descriptor
