"""When the Node process may be started again after it ended by itself. Pure."""

from __future__ import annotations

from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
STEADY_S: Final = 60.0
"""A process that lived this long starts the count anew."""


class Restarts:
    """The ends in a row. The first restart is at once; each further one waits twice as long."""

    def __init__(self) -> None:
        self._ends = 0
        self._started_s = 0.0
        self._ended_s = 0.0

    def started(self, now_s: float) -> None:
        """Note that the process was started."""
        self._started_s = now_s

    def ended(self, now_s: float) -> None:
        """Note that the process ended by itself, or could not be started."""
        self._ends = 1 if now_s - self._started_s >= STEADY_S else self._ends + 1
        self._ended_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long it is still to be left alone, 0 when it may be started."""
        if self._ends < 2:
            return 0.0
        pause_s = min(FIRST_S * 2.0 ** (self._ends - 2), LONGEST_S)
        return max(0.0, self._ended_s + pause_s - now_s)
