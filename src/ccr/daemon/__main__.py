"""``python -P -m ccr.daemon [--background] [--report DESCRIPTOR] [--follow]``: the serving process."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Detach if asked to, before anything heavy is imported; then serve."""
    if "--background" in arguments and os.fork():
        os._exit(0)  # the child belongs to init now: whoever started it has no child to wait for
    from ccr.daemon.main import run
    from ccr.daemon.report import Report

    descriptor = int(arguments[arguments.index("--report") + 1]) if "--report" in arguments else None
    return run(os.environ, Report(descriptor), follows="--follow" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
