"""Routes of plugins (``endPoint``): which paths they may have. Pure.

The table of built-in routes is frozen; these stand beside it, one for each loaded plugin that asks for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATH_CHARS: Final = 200
SHOWN_CHARS: Final = 80
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_DOTS: Final = re.compile(r"/\.{1,2}(/|$)")


def nothing_is_built_in(_path: str) -> bool:
    """Tell of no path that it is served already."""
    return False


def fault_of_end_point(path: str, is_built_in: Callable[[str], bool]) -> str | None:
    """Return why a path cannot be served, None when it can. is_built_in: tells of paths that ccr serves.

    Targets are compared byte for byte, so a path is written in one way only: no escapes, no dots, no empty
    part, nothing that stands for something else.
    """
    if ":" in path or "*" in path:
        return "only a path that stands for itself is served, without `:name` and `*`"
    if len(path) > MAX_PATH_CHARS:
        return f"a path has at most {MAX_PATH_CHARS} characters"
    if not _PATH.fullmatch(path) or _DOTS.search(path):
        return "a path begins with / and has parts of letters, digits, `-`, `_`, `.` and `~`"
    if is_built_in(path):
        return "ccr answers there itself"
    return None


def shown_path(path: str) -> str:
    """Return a path as it may stand in a message."""
    return "".join(char if char.isprintable() else "?" for char in path[:SHOWN_CHARS])
