"""Time limits for many short waits: one timer for all of them instead of one for each.

``asyncio.timeout`` makes a timer for every wait, which costs more than the wait itself when events of many
streams arrive. Here a wait only notes its deadline; the one timer stands at the earliest deadline noted
when it was set, looks at all waits when it fires, and is set again. Most waits end long before, and then
nothing was to be done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

NEVER: Final = float("inf")


class Deadlines:
    """The waits of one event loop. Needs it to be running."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waits: set[_Wait] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER

    async def within(self, timeout_s: float, awaitable: Awaitable[T]) -> T:
        """Return what the awaitable gives. Raises TimeoutError when it takes longer; then it is cancelled."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
        when = self._loop.time() + timeout_s
        wait = _Wait(task, when)
        if when < self._due:
            self._set(when)
        self._waits.add(wait)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Cancelled by us alone, or by somebody else too? Then that counts (as in asyncio.timeout).
            if wait.is_expired and task.uncancel() <= wait.cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._waits.discard(wait)

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, when: float) -> None:
        self.close()
        self._due = when
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        self._due = NEVER
        now = self._loop.time()
        for wait in self._waits:
            if not wait.is_expired and wait.when <= now:
                wait.is_expired = True
                wait.task.cancel()
        due = min((wait.when for wait in self._waits if not wait.is_expired), default=NEVER)
        if due < NEVER:
            self._set(due)


class _Wait:
    __slots__ = ("cancelling", "is_expired", "task", "when")

    def __init__(self, task: asyncio.Task[object], when: float) -> None:
        self.task = task
        self.when = when
        self.cancelling = task.cancelling()
        self.is_expired = False
