"""How many requests a provider works on at a time: places, and a bounded queue for them.

A place is held from before the first byte is sent until the answer is closed. Whoever waits and leaves
(its client is gone) leaves the queue; a place that was given to it at that very moment goes to the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from ccr.errors import UpstreamError

QUEUE_S: Final = 60.0
"""How long a request waits for a place before it is sent back."""
RETRY_AFTER_S: Final = 1


class Places:
    """The places of one provider. most: 0 means that there is no limit; then they are only counted.

    most_waiting: requests beyond these are sent back at once. Belongs to one event loop.
    """

    def __init__(
        self, provider: str, *, most: int = 0, most_waiting: int = 0, queue_s: float = QUEUE_S
    ) -> None:
        self._provider = provider
        self._most = most
        self._most_waiting = most_waiting
        self._queue_s = queue_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for a place."""
        return len(self._waiting)

    @property
    def load(self) -> float:
        """How much there is to do, for a comparison: requests, or the share of the places they take."""
        return (self.taken + self.waiting) / (self._most or 1)

    async def take(self) -> None:
        """Take a place, when there is one; ``leave`` it.

        Raises UpstreamError (429) when too many wait already, or it takes too long.
        """
        if not self._most or (self.taken < self._most and not self._waiting):
            self.taken += 1
            return
        if len(self._waiting) >= self._most_waiting:
            raise self._refusal(f"{self._most} are answered and {self.waiting} wait")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._queue_s):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled():
                self.leave()  # given and not used
            if isinstance(error, TimeoutError):
                raise self._refusal(f"none became free within {self._queue_s:.0f} s") from error
            raise

    def leave(self) -> None:
        """Give a place back; the longest waiting request gets it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # its task was cancelled and has not run since
                turn.set_result(None)
                return
        self.taken -= 1

    def _refusal(self, why: str) -> UpstreamError:
        self.refused += 1
        return UpstreamError(
            429,
            f"{self._provider}: all places of max_concurrent are taken ({why})",
            error_type="overloaded_error",
            retry_after_s=RETRY_AFTER_S,
        )
