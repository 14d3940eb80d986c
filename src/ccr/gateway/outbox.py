"""Things that are told elsewhere beside the requests: one after the other, in the background, within a bound.

A request only puts something in, which takes microseconds and never fails. What is too much is dropped with a
line in the log, and so is what cannot be told.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ccr.errors import UpstreamError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
MAX_WAITING: Final = 100
CLOSE_S: Final = 2.0


class Outbox(Generic[T]):
    """Hands things to ``tell``, which raises UpstreamError or OSError. Needs a running loop; ``close`` it.

    what: the name in the log.
    """

    def __init__(
        self,
        what: str,
        tell: Callable[[T], Awaitable[None]],
        logger: logging.Logger,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._what = what
        self._tell = tell
        self._logger = logger
        self._waiting: asyncio.Queue[T] = asyncio.Queue(max_waiting)
        self._worker: asyncio.Task[None] | None = None
        self._dropped = 0
        self._failed = ""

    def put(self, thing: T) -> None:
        """Have it told. Dropped when too much waits."""
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        try:
            self._waiting.put_nowait(thing)
        except asyncio.QueueFull:
            self._dropped += 1
            if self._dropped == 1:  # one line until there is room again
                self._warn("too much waits: figures are dropped until there is room")

    async def close(self, *, within_s: float = CLOSE_S) -> None:
        """Tell what still waits, within a time; the rest is dropped."""
        if self._worker is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._waiting.join()
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        if lost := self._waiting.qsize():
            self._warn("figures were dropped at the end", dropped=lost)

    async def _work(self) -> None:
        while True:
            thing = await self._waiting.get()
            try:
                await self._tell(thing)
            except (UpstreamError, OSError) as error:
                self._note_failure(str(error))
            else:
                self._failed = ""
            finally:
                self._waiting.task_done()
            if self._dropped and not self._waiting.full():
                self._warn("there is room again", dropped=self._dropped)
                self._dropped = 0

    def _note_failure(self, reason: str) -> None:
        """Log why something was not told; the same reason once until something is told again."""
        if reason != self._failed:
            self._failed = reason
            self._warn("figures were not taken", reason=reason)

    def _warn(self, sentence: str, **fields: Any) -> None:
        self._logger.warning("%s: %s", self._what, sentence, extra={"fields": fields})
