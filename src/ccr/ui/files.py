"""The files of the pages: read once from the package, served by a fixed table of paths."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX: Final = "index.html"


@dataclass(frozen=True)
class File:
    """What is sent for a path."""

    data: bytes
    content_type: str


def load_files() -> dict[str, File]:
    """Return path -> file; the index has the path ``/``. Raises OSError."""
    files = {}
    for entry in resources.files("ccr.ui").joinpath("static").iterdir():
        suffix = f".{entry.name.rpartition('.')[2]}"
        path = "/" if entry.name == INDEX else f"/{entry.name}"
        files[path] = File(entry.read_bytes(), TYPES[suffix])
    return files
