"""How a service ends: stopped by a signal, or followed by another process that serves the same socket.

stopped    nothing is accepted any more, idle connections are closed at once, running answers may end
followed   idle connections stay for a while and each answer on them says that it is the last: a client that
           is just about to send on such a connection would lose that request. Nobody waits for the end
           of this process, so that running answers may take longer than when it is stopped

Either way what takes too long is cut with an error its client understands; so does the next signal.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccr.server.connection import Server
    from ccr.server.front import Front

FOLLOWED_S: Final = 900.0
"""How long answers may take to end once another process serves."""
IDLE_S: Final = 5.0
"""How long a followed service listens to connections on which nothing happens."""
POLL_S: Final = 0.05


class Departure:
    """How another part of the process has the service followed: `begin`, then wait for `is_deaf`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.is_deaf = asyncio.Event()
        """Set when no further connection is accepted here."""

    def begin(self) -> None:
        """Another process accepts the connections now."""
        self.asked.set()


async def drain(server: Server, front: Front, cut: asyncio.Event, drain_s: float, *, idle_s: float) -> None:
    """Wait until no connection is left, at most ``drain_s`` or until ``cut`` is set; then cut the rest.

    idle_s: how long nothing must have happened before idle connections are closed; 0: at once.
    """
    now = time.monotonic
    ends_at = now() + drain_s
    front.leave()
    is_idle_closed = False
    if idle_s:
        # A connection that was accepted last may not be known to the server yet.
        await asyncio.sleep(POLL_S)
    second = asyncio.create_task(cut.wait())
    try:
        while server.connections and not second.done() and now() < ends_at:
            if not is_idle_closed and now() - front.last_change_at >= idle_s:
                server.pre_shutdown()
                is_idle_closed = True
            await asyncio.wait([second], timeout=POLL_S)
    finally:
        second.cancel()
    server.pre_shutdown()
    front.cut()
