"""The corpus: small inputs kept in ``inputs/<target>/``, each of which reached lines that no other reached.

An input that failed is kept as well, so that it is tried first from then on.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ccr.errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    TraceFunction = Callable[[FrameType, str, Any], Any]

FOLDER: Final = Path(__file__).parent / "inputs"
MAX_BYTES: Final = 2048
SOURCE: Final = str(Path(ccr.errors.__file__).parent / "protocol")


def kept(name: str) -> list[bytes]:
    """Return the inputs of a target."""
    return [file.read_bytes() for file in sorted((FOLDER / name).glob("*"))]


def keep(name: str, data: bytes) -> Path:
    """Keep an input; return its file."""
    file = FOLDER / name / hashlib.sha256(data).hexdigest()[:12]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


class Reached:
    """Which lines of the protocol's code were reached, in all runs so far."""

    def __init__(self) -> None:
        self._lines: set[tuple[str, int]] = set()

    def is_further(self, run: Callable[[bytes], None], data: bytes) -> bool:
        """Run ``run(data)`` and tell whether it reached a line that none before did."""
        before = len(self._lines)
        sys.settrace(self._call)
        try:
            run(data)
        finally:
            sys.settrace(None)
        return len(self._lines) > before

    def _call(self, frame: FrameType, _event: str, _argument: object) -> TraceFunction | None:
        return self._line if frame.f_code.co_filename.startswith(SOURCE) else None

    def _line(self, frame: FrameType, event: str, _argument: object) -> TraceFunction:
        if event == "line":
            self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line
