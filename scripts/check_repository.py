"""Rules about the repository itself: lock files, dependency budget, no registry or machine addresses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN_TIME_BUDGET = 18
FLOORS = {"aiohttp": (3, 14, 1)}
FORBIDDEN = re.compile(
    r"://[a-z.]*registry[.]|://[^ ]*/simple/|\"resolved\": *\"http|^--(?:extra-)?index-url|/pyenv/|"
    + re.escape(str(ROOT))
)

ALONE = re.compile(r"CliRunner\(\)\.invoke\((?!cli\b)")
"""click keeps the help options of a command's first run; outside of ``ccr`` it has no ``-h``."""


def locked(name: str) -> dict[str, str]:
    """Return name -> version of a lock file; every entry must carry hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    entries = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", line)
        if not match or "--hash=sha256:" not in line:
            fail(f"requirements/{name}.txt: not pinned with a hash: {line[:80]}")
        else:
            entries[match[1].lower()] = match[2]
    return entries


failures: list[str] = []


def fail(message: str) -> None:
    """Remember one broken rule."""
    failures.append(message)


def main() -> int:
    """Check all rules; print what is broken."""
    run = locked("run")
    locked("build")
    locked("dev")
    if len(run) > RUN_TIME_BUDGET:
        fail(f"{len(run)} run-time distributions, at most {RUN_TIME_BUDGET}: {', '.join(run)}")
    for name, floor in FLOORS.items():
        if tuple(int(part) for part in run[name].split(".")[:3]) < floor:
            fail(f"{name} {run[name]} is below the security floor {'.'.join(map(str, floor))}")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        path = ROOT / name
        if path.name == Path(__file__).name or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if FORBIDDEN.search(line):
                fail(f"{name}:{number}: an address or a path that does not belong here: {line.strip()[:100]}")
            if name.startswith("tests/") and ALONE.search(line):
                fail(f"{name}:{number}: a command is run alone, not as `ccr …`: invoke(cli, …)")
    for message in failures:
        print(message, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
