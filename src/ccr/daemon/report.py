"""One line from the starting background process to the command that started it, over an inherited pipe.

``pid N`` comes first, then ``ready``, ``taken`` (another process holds the lock), ``alone`` (no process hands
over to this one) or ``failed SENTENCE``.
The end of the pipe without one of these is a death: the start log has its last words.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from dataclasses import dataclass
from typing import Literal

CANNOT_FOLLOW = "HOST or PORT has changed, so the socket cannot be handed over."
"""The failure after which the serving process is to be stopped first."""

Word = Literal["ready", "taken", "alone", "failed", "died", "late"]


class Report:
    """The writing end; without a descriptor (foreground) every word goes nowhere."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
            self._write(f"pid {os.getpid()}")

    def tell(self, word: Literal["ready", "taken", "alone", "failed"], sentence: str = "") -> None:
        """Write the outcome and close; only the first outcome counts."""
        self._write(f"{word} {sentence}".rstrip())
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: str) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more; serving goes on
                os.write(self._descriptor, line.replace("\n", "\v").encode() + b"\n")


@dataclass(frozen=True)
class Outcome:
    """What came of a start; ``pid`` as soon as the process had told it."""

    word: Word
    sentence: str = ""
    pid: int | None = None


def await_outcome(descriptor: int, wait_s: float) -> Outcome:
    """Read a report until its outcome, its end, or until ``wait_s`` have passed."""
    deadline = time.monotonic() + wait_s
    received = b""
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
            return outcome_from(received, otherwise="late")
        data = os.read(descriptor, 4096)
        received += data
        outcome = outcome_from(received, otherwise="died")
        if outcome.word != "died" or not data:
            return outcome


def outcome_from(received: bytes, *, otherwise: Word) -> Outcome:
    """Return what the complete lines of a report say; ``otherwise`` when no outcome is among them."""
    pid: int | None = None
    for line in received.decode(errors="replace").split("\n")[:-1]:
        word, _, rest = line.partition(" ")
        if word == "pid" and rest.isdecimal():
            pid = int(rest)
        elif word in ("ready", "taken", "alone", "failed"):
            return Outcome(word, rest.replace("\v", "\n"), pid)  # type: ignore[arg-type]  # one of the words above
    return Outcome(otherwise, "", pid)
