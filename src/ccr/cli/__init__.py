"""The command line. Nothing is imported here: every command pays only for what it uses."""

from __future__ import annotations


def main() -> None:
    """Run the command line and leave with its exit code."""
    import sys

    if sys.argv[1:2] == ["statusline"] and len(sys.argv) <= 3 and not sys.argv[-1].startswith("-"):
        # at every message of every session: not even the parser of the command line is imported
        import os

        from ccr.statusline.command import print_line

        print_line(sys.argv[2] if len(sys.argv) > 2 else None, os.environ)
        return
    if sys.argv[1:] in (["status"], ["status", "--json"]):
        # in prompts and scripts; what goes wrong is said by the ordinary way, which takes the same steps
        import os
        from contextlib import suppress

        from ccr.cli.status_report import print_status
        from ccr.errors import CcrError

        with suppress(CcrError, OSError):
            sys.exit(print_status(os.environ, as_json="--json" in sys.argv))
    from ccr.cli.main import run

    run()
