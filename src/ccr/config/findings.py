"""What the reading of a configuration finds: problems, warnings, notes; and how a found value is described.

A value is quoted only where it cannot be a secret: never what came from the environment, never what looks
like a token, never the value of a key that holds secrets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ccr.errors import Problem
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

LIKE_A_SECRET = re.compile(r"[A-Za-z0-9+_]{32,}|://[^/]*@")
SHOWN_CHARACTERS = 60


class Findings:
    """Collects everything there is to say about one file, so that the person reads it all at once.

    unset: key path -> variables that are not set; those keys get this problem and no second one.
    replaced: key paths whose value came from the environment.
    """

    def __init__(
        self, file: str, unset: Mapping[str, Iterable[str]], replaced: Container[str] = frozenset()
    ) -> None:
        self.file = file
        self._replaced = replaced
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.problems: list[Problem] = [
            Problem(
                file,
                path,
                f"the variable {', '.join(names)}, which is not set",
                "variables of the environment that are set; $$ for a dollar sign",
            )
            for path, names in unset.items()
        ]

    def problem(self, path: str, found: str, allowed: str) -> None:
        """Note a fault at the key ``path``; one is enough, further ones would come of the first."""
        if all(known.key != path for known in self.problems):
            self.problems.append(Problem(self.file, path, found, allowed))

    def quoted(self, path: str, value: Any) -> str:
        """Quote the value at a key, shortened; what may be a secret is only described."""
        if path in self._replaced:
            return f"{shape(value)} from the environment"
        return quoted(value)

    def warn(self, path: str, sentence: str) -> None:
        """Note something that has no effect, or another one than expected."""
        self.warnings.append(f"{self.file}: {path} {sentence}")


def shape(value: Any) -> str:
    """Say what kind of value this is, without its content."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a number"


def quoted(value: Any) -> str:
    """Quote a value, shortened; what looks like a secret is only described."""
    if isinstance(value, str) and value.strip():
        if LIKE_A_SECRET.search(value) or redacted(value) != value:
            return "a text that looks like a secret"
        return ascii(value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return shape(value)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` is probably meant to be, in any capitals; the first of two such."""
    from difflib import get_close_matches  # late: only a mistake needs it

    spelling: dict[str, str] = {}
    for each in known:
        spelling.setdefault(each.lower(), each)
    found = get_close_matches(name.lower(), spelling, n=1, cutoff=0.6)
    return spelling[found[0]] if found else None
