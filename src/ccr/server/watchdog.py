"""A thread that notices when the event loop stands still, and logs where.

While one request keeps the loop busy no other one moves: neither its tokens nor its time limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator

STALL_S: Final = 1.0
BEATS_IN_STALL: Final = 4


class Watchdog:
    """Watches the loop it is started on. stalls: how often it stood still; longest_s: the longest time."""

    def __init__(self, log: logging.Logger, *, stall_s: float = STALL_S) -> None:
        self.stalls = 0
        self.longest_s = 0.0
        self._log = log
        self._stall_s = stall_s
        self._beat_s = stall_s / BEATS_IN_STALL
        self._beat_at = time.monotonic()
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the running loop for as long as the block runs."""
        self._loop_thread = threading.get_ident()
        self._beat_at = time.monotonic()
        thread = threading.Thread(target=self._watch, name="ccr-watchdog", daemon=True)
        beating = asyncio.create_task(self._beat())
        thread.start()
        try:
            yield
        finally:
            beating.cancel()
            self._ended.set()
            await asyncio.to_thread(thread.join)

    async def _beat(self) -> None:
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(self._beat_s)

    def _watch(self) -> None:
        stalled_at: float | None = None
        while True:
            before = time.monotonic()
            if self._ended.wait(self._beat_s):
                return
            now = time.monotonic()
            if now - before > self._stall_s:  # the whole process was stopped: suspended, or swapped out
                continue
            beat_at = self._beat_at
            if now - beat_at <= self._stall_s:
                if stalled_at is not None:
                    self._over(beat_at - stalled_at)
                stalled_at = None
            elif stalled_at is None:
                stalled_at = beat_at
                self._begun(now - beat_at)

    def _begun(self, seconds: float) -> None:
        self.stalls += 1
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way, by this name
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        fields = {"seconds": round(seconds, 2), "traceback": stack}
        self._log.error("the event loop stands still", extra={"fields": fields})

    def _over(self, seconds: float) -> None:
        self.longest_s = max(self.longest_s, round(seconds, 2))
        self._log.warning("the event loop goes on", extra={"fields": {"seconds": round(seconds, 2)}})
