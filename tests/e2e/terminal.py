"""A terminal for the real client: what a person types, and what they see."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING, Self

from tests.daemon.waiting import until
from tests.e2e import claude

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

ENTER, ESCAPE = "\r", "\x1b"
SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
ROWS, COLUMNS = 50, 150


class Terminal:
    """A program in a pseudo terminal. Everything it has written is kept, without control sequences."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=10)
        os.close(self._master)

    @property
    def seen(self) -> str:
        """All that was shown so far, in the order in which it was written."""
        return SEQUENCE.sub("", self._written.decode("utf-8", "replace"))

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._master, key.encode())

    def type(self, word: str) -> None:
        """Type a word, wait until the client shows it, and send it."""
        before = self.seen.count(word)
        self.press(word)
        until(lambda: self.seen.count(word) > before)
        self.press(ENTER)

    def see(self, word: str) -> None:
        """Wait until a word was shown; words without spaces, which may be written as movements."""
        until(lambda: word in self.seen)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            self._written += data


def home_of_an_old_hand(folder: Path) -> Path:
    """Prepare a home where the client greets nobody and trusts the folder to work in; return that folder."""
    work = folder / "work"
    for path in (work, folder / "home"):
        path.mkdir(parents=True, exist_ok=True)
    known = {
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": claude.VERSION,
        "projects": {str(work): {"hasTrustDialogAccepted": True}},
    }
    (folder / "home" / ".claude.json").write_text(json.dumps(known))
    return work
