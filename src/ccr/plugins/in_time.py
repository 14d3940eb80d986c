"""The person's own code at work while a service starts: in a thread, and for a limited time.

A thread cannot be ended. One that takes too long is left alone, and does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from ccr.plugins.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

LOAD_S: Final = 8.0
"""Less than `ccr start` waits for the service, so that it can tell which file it is."""

_T = TypeVar("_T")


async def in_time(work: Callable[[], _T], name: str, hook: str, *, limit_s: float | None = None) -> _T:
    """Return what ``work`` returns. name, hook: whom to name when it takes longer than ``limit_s``.

    Raises PluginError then, and what ``work`` raises.
    """
    limit_s = LOAD_S if limit_s is None else limit_s
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Callable[[], _T]] = loop.create_future()

    def tell(outcome: Callable[[], _T]) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        outcome = _outcome_of(work)
        with contextlib.suppress(RuntimeError):  # nobody waits any more, the loop is closed
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=run, name=f"loading {name}", daemon=True).start()
    try:
        async with asyncio.timeout(limit_s):
            outcome = await done
    except TimeoutError:
        reason = f"it did not end within {limit_s:g} s: an endless loop, or something it waits for?"
        raise PluginError(name, reason, hook=hook, should_retry=False) from None
    return outcome()


def _outcome_of(work: Callable[[], _T]) -> Callable[[], _T]:
    """Return what gives the result of ``work``, or raises what it raised."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        failure = error

        def fail() -> _T:
            raise failure

        return fail
    return lambda: result
