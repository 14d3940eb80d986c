"""A process that has imported everything and makes others of itself: what is killed often must begin quickly.

As a program it reads one job a line (JSON: ``environ``, ``job``) and answers with the pid of the child that
does it: ``serve`` is the serving process from its first line on, ``write`` changes config.json for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.daemon.installation import Installation


class Nursery:
    """The nursery of a test, as a context manager."""

    def __enter__(self) -> Nursery:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.daemon.nursery"],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]  # it has pipes
        self._process.wait(30)
        self._process.stdout.close()  # type: ignore[union-attr]  # it has pipes

    def begin(self, installation: Installation, job: str) -> int:
        """Return the pid of a process that does a job in an installation."""
        line = json.dumps({"environ": {"CCR_HOME": str(installation.paths.home)}, "job": job})
        self._process.stdin.write(line + "\n")  # type: ignore[union-attr]  # it has pipes
        self._process.stdin.flush()  # type: ignore[union-attr]  # it has pipes
        return int(self._process.stdout.readline())  # type: ignore[union-attr]  # it has pipes


def write_for_ever(environ: dict[str, str]) -> None:
    """Change the configuration again and again, as ``ccr config set`` does."""
    from ccr.config.paths import Paths
    from ccr.setup.config_change import planned, read_written, write_planned

    path = Paths.from_environ(environ).config_file
    while True:
        written = read_written(path)
        timeout = int(written.document.get("API_TIMEOUT_MS", 1000)) + 1
        change, _ = planned(written, {**written.document, "API_TIMEOUT_MS": timeout}, environ)
        write_planned(change)


def _do(asked: dict[str, Any]) -> int:
    from ccr.config.paths import Paths
    from ccr.daemon.main import run
    from ccr.daemon.report import Report

    os.environ.update(asked["environ"])
    paths = Paths.from_environ(os.environ)
    said = os.open(paths.home / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if asked["job"] == "write":
        write_for_ever(dict(os.environ))
    return run(os.environ, Report(None))


def main() -> None:
    """Answer jobs until there are no more."""
    import ccr.daemon.main
    import ccr.plugins.hosting
    import ccr.server.app
    import ccr.setup.config_change
    import ccr.transformers.registry  # noqa: F401 - loaded here once, for all children

    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401 - as above
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 70
            try:
                code = _do(json.loads(line))
            finally:
                os._exit(code)
        print(pid, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed leave nothing behind
    main()
