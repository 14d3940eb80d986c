"""Warnings that may come a thousand times a second, and are logged once a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

EVERY_S: Final = 60.0


class Throttle:
    """Logs the same message at most once a minute, with how often it came meanwhile. clock: monotonic s."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._last: dict[str, float] = {}
        self._silenced: dict[str, int] = {}

    def warn(self, message: str, fields: dict[str, object]) -> None:
        """Log a warning, or count it."""
        self._tell(logging.WARNING, message, fields, None)

    def loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what nobody has caught, as an event loop's exception handler; lack of descriptors, too."""
        del loop
        error = context.get("exception")
        name = type(error).__name__ if error is not None else ""
        fields: dict[str, object] = {"error": str(error)} if isinstance(error, OSError) else {}
        trace = error if error is not None and not isinstance(error, OSError) else None
        message = str(context.get("message", "an error in the event loop")).partition("\n")[0]
        self._tell(logging.ERROR, f"{message} {name}".rstrip(), fields, trace)

    def _tell(self, level: int, message: str, fields: dict[str, object], error: BaseException | None) -> None:
        now = self._clock()
        if now - self._last.get(message, float("-inf")) < EVERY_S:
            self._silenced[message] = self._silenced.get(message, 0) + 1
            return
        self._last[message] = now
        silenced = self._silenced.pop(message, 0)
        more = {"silenced": silenced} if silenced else {}
        self._log.log(level, message, exc_info=error, extra={"fields": {**fields, **more}})
