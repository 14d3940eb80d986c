"""Where the lines of the log go: a rotating file, written by a thread of its own.

Nothing here can hold up or fail a request: records wait in a bounded queue, and what does not fit, or cannot
be written because the disk is full, is dropped and counted. The next line that gets through says how many.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccr.config.private import FILE_MODE, make_private_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.config.paths import Paths

FILE_BYTES = 10_000_000
OLD_FILES = 3
MAX_WAITING: Final = 10_000
END_S: Final = 2.0
"""How long the last records may take when the process ends."""


class QuietFileHandler(RotatingFileHandler):
    """A rotating file of mode 0600; a record that cannot be written is counted, and the next one says so."""

    def __init__(self, paths: Paths) -> None:
        self.dropped = 0
        super().__init__(
            paths.log_file, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", delay=True
        )

    def _open(self) -> Any:  # the base class's hook; its return type is a private alias
        make_private_folder(Path(self.baseFilename).parent)
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_opened_privately)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; after losses, with their number."""
        if self.dropped:
            record = logging.makeLogRecord(record.__dict__)
            record.fields = {**getattr(record, "fields", {}), "dropped_records": self.dropped}
        before = self.dropped
        self._follow_name()
        super().emit(record)
        if self.dropped == before:
            self.dropped = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - the base class's hook
        """Count instead of printing: the disk may be full, and stderr may be the same disk."""
        self.dropped += 1

    def _follow_name(self) -> None:
        """Open the file anew when its name means another one by now: moved away, removed, or rotated by
        the process that this one follows or that follows it.
        """  # noqa: D205 - one sentence
        if self.stream is None:
            return
        with contextlib.suppress(OSError):
            try:
                named = os.stat(self.baseFilename)  # noqa: PTH116 - a text, as the base class has it
            except FileNotFoundError:
                named = None
            opened = os.fstat(self.stream.fileno())
            if named is None or (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino):
                self.stream.close()
                self.stream = None


class BackgroundHandler(logging.Handler):
    """Hands records to handlers in a thread of its own, so that the event loop never waits for a disk."""

    def __init__(self, targets: Sequence[logging.Handler], *, max_waiting: int = MAX_WAITING) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self._max_waiting = max_waiting
        self._dropped = 0
        self._waiting: queue.SimpleQueue[logging.LogRecord | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ccr-log", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue a record; without a lock, the queue needs none."""
        if self._waiting.qsize() >= self._max_waiting:
            self._dropped += 1
            return False
        if self._dropped:
            record.fields = {**getattr(record, "fields", {}), "dropped_records": self._dropped}
            self._dropped = 0
        self._waiting.put(record)
        return True

    def flush(self) -> None:
        """Wait until what is queued now is written, at most END_S."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            written = threading.Event()
            self._waiting.put(written)
            written.wait(END_S)

    def close(self) -> None:
        """Write what is queued, and end the thread."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(END_S)
        for target in self.targets:
            target.close()
        super().close()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            for target in self.targets:
                if item.levelno >= target.level:
                    with contextlib.suppress(Exception):  # a fault in writing one line must not end all
                        target.handle(item)


def _opened_privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
