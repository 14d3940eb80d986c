"""A terminal for the real client: what a person types, and what they see."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import TYPE_CHECKING, Self

from tests.e2e import claude

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

ENTER, ESCAPE = "\r", "\x1b"
SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
ROWS, COLUMNS = 50, 150
PATIENCE_S, REPAINT_S = 60.0, 0.5


class Terminal:
    """A program in a pseudo terminal. Everything it has written is kept, without control sequences."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._resize(COLUMNS)
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
        self.see(word, before + 1)
        self.press(ENTER)

    def see(self, word: str, times: int = 1) -> None:
        """Wait until a word was shown so often; a word without spaces, which may be written as movements.

        Programs write only what differs from what stands there, which may be half a word: from time to time
        everything has to be painted anew.
        """
        deadline = time.monotonic() + PATIENCE_S
        while self.seen.count(word) < times:
            assert time.monotonic() < deadline, f"{word} was not shown"
            time.sleep(REPAINT_S)
            self._resize(COLUMNS - 1 if self._columns == COLUMNS else COLUMNS)
            self.process.send_signal(signal.SIGWINCH)

    def _resize(self, columns: int) -> None:
        self._columns = columns
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

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
