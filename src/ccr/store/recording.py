"""Takes finished requests from the event loop, and has a thread write them a little later, in batches.

Nothing here holds up or fails a request. Rows wait in a bounded list; while they cannot be written (a full
disk, a lock that stays, a newer ccr's database) they go on waiting, and what does not fit is counted. The
first failure and the end of it are told to the log. SQLite is imported with the first batch: a service that
nobody asks anything has no use for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.errors import StoreError
from ccr.store.projects import Projects
from ccr.store.records import MAX_TEXT, RequestRow

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from pathlib import Path

    from ccr.store.sqlite_writing import SqliteStore

DELAY_S: Final = 2.0
"""How long a row waits at most; what a killed process loses."""
RETRY_S: Final = 15.0
MANY: Final = 1000
"""So many rows do not wait."""
MAX_WAITING: Final = 10_000
PRUNE_S: Final = 6 * 3600.0
DAY_MS: Final = 24 * 3600 * 1000
END_S: Final = 5.0
"""How long the last rows may take when the service ends."""
FOREIGN: Final = tuple(
    map(
        RequestRow._fields.index,
        ("agent", "client_route", "model", "rule", "error_type", "error", "stop_reason", "session"),
    )
)
"""Where texts stand that others write."""
FIGURES: Final = tuple(index for index, name in enumerate(RequestRow._fields) if name.endswith("_tokens"))
MOST_TOKENS: Final = 10**12


class Retention(NamedTuple):
    """How much is kept: days, and bytes of the database."""

    days: int
    max_bytes: int


class Recording:
    """Keeps requests in the database at ``path``. ``start`` it in the loop that calls ``put``; ``close`` it.

    retention: asked whenever something is written. masked: takes secrets out of a text; called in a thread.
    client_projects: where the folders of sessions are looked for. clock: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        log: logging.Logger,
        retention: Callable[[], Retention],
        masked: Callable[[str], str] = str,
        client_projects: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._log = log
        self._retention = retention
        self._masked = masked
        self._projects = Projects(client_projects)
        self._clock = clock
        self._waiting: list[RequestRow] = []
        self._some, self._many, self._ending = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._store: SqliteStore | None = None
        self._task: asyncio.Task[None] | None = None
        self._pruned_at: float | None = None
        self._problem: str | None = None
        self._lost = 0
        self._written = 0

    def put(self, row: RequestRow) -> None:
        """Have a row written a little later."""
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            return
        self._waiting.append(row)
        self._some.set()
        if len(self._waiting) >= MANY:
            self._many.set()

    def start(self) -> None:
        """Begin to write what is put."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what waits, in bounded time, and close the database."""
        if self._task is None:
            return
        for event in (self._ending, self._some, self._many):
            event.set()
        done, _ = await asyncio.wait([self._task], timeout=END_S)
        if not done:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._waiting:
            why = self._problem or "no time was left"
            self._log.warning("%d requests were not recorded: %s", len(self._waiting), why)

    def report(self) -> dict[str, Any]:
        """Return what ``/status`` says: how many were written, wait, are lost, and why."""
        return {
            "recorded": self._written,
            "waiting": len(self._waiting),
            "lost": self._lost,
            "problem": self._problem,
        }

    async def _run(self) -> None:
        while not self._ending.is_set():
            await self._some.wait()
            await _within(DELAY_S, self._many)
            if not await self._flushed():
                await _within(RETRY_S, self._ending)
        await self._flushed()  # what came with the last requests
        if self._store is not None:
            await asyncio.to_thread(self._store.close)

    async def _flushed(self) -> bool:
        """Write what waits; False when it goes on waiting."""
        batch, self._waiting = self._waiting, []
        self._some.clear()
        self._many.clear()
        if not batch:
            return True
        try:
            await asyncio.to_thread(self._write, batch)
        except StoreError as error:
            self._note(str(error))
            together = batch + self._waiting
            self._waiting = together[:MAX_WAITING]
            self._lost += len(together) - len(self._waiting)
            self._some.set()
            return False
        except Exception as error:  # noqa: BLE001 - nothing in a row may end the recording of all others
            # Trying them again would fail again, and with them all that come.
            self._log.exception("%d requests were not recorded", len(batch))
            self._lost += len(batch)
            self._problem = f"{type(error).__name__}: {error}"
            return True
        self._written += len(batch)
        self._note(None)
        return True

    def _note(self, problem: str | None) -> None:
        """Tell the log when writing begins to fail, and when it works again."""
        if problem is not None and self._problem is None:
            self._log.warning("requests are not recorded for the moment: %s", problem)
        elif problem is None and self._problem is not None:
            self._log.warning("requests are recorded again", extra={"fields": {"lost": self._lost}})
        self._problem = problem

    # -- in a thread -----------------------------------------------------------------------------------

    def _write(self, batch: list[RequestRow]) -> None:
        """Write rows, and delete what is older or more than is to be kept. Raises StoreError."""
        if self._store is None:
            from ccr.store.sqlite_writing import SqliteStore  # imported late: SQLite takes memory

            self._store = SqliteStore(self._path, self._log.warning)
        cleaner = Cleaner(self._masked)
        rows = [cleaner.cleaned(row) for row in batch]
        sessions = {row.session for row in rows if row.session is not None}
        found = {session: self._projects.project_of(session) for session in sorted(sessions)}
        self._store.write(rows, {session: name for session, name in found.items() if name is not None})
        with contextlib.suppress(StoreError):  # the rows are written; the next batch tries it again
            self._prune(self._store)

    def _prune(self, store: SqliteStore) -> None:
        days, max_bytes = self._retention()
        now = self._clock()
        is_due = self._pruned_at is None or abs(now - self._pruned_at) > PRUNE_S
        if is_due or store.is_larger_than(max_bytes):
            store.prune(round(now * 1000) - days * DAY_MS, max_bytes)
            self._pruned_at = now


class Cleaner:
    """Makes rows that any database takes: short texts of real characters, no secrets, sound figures.

    The same few texts stand in most rows of a batch, and each is looked at once: this runs beside the event
    loop, which waits for it. masked: takes secrets out of a text.
    """

    def __init__(self, masked: Callable[[str], str] = str) -> None:
        self._masked = masked
        self._texts: dict[str, str] = {}

    def cleaned(self, row: RequestRow) -> RequestRow:
        """Return the row without what must not be kept."""
        values: list[Any] = list(row)
        for index in FOREIGN:
            if values[index] is not None:
                values[index] = self._texts.get(values[index]) or self._text(values[index])
        for index in FIGURES:
            if values[index] is not None and not 0 <= values[index] <= MOST_TOKENS:
                values[index] = None  # no upstream can mean it, and sums must not overflow
        return RequestRow._make(values)

    def _text(self, text: str) -> str:
        # Masked before it is cut: half a secret would not be found.
        short = self._masked(text).encode("utf-8", "replace").decode()[:MAX_TEXT]
        self._texts[text] = short
        return short


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
