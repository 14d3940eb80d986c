"""Large bodies one after another, so that everything else gets a turn in between.

Joining, decoding and converting a body of some MB keeps the event loop for some 10 ms, during which nothing
else moves. Of a hundred that arrive at once all would be done in the same round of the loop, and every stream
would stand still for more than a second.
"""

from __future__ import annotations

import asyncio
from typing import Final

LARGE_BYTES: Final = 512 * 1024
"""What is smaller is done within a few ms."""


class Turns:
    """Lets one large body begin in a round of the loop."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def take(self, size_bytes: int) -> None:
        """Return when it is this body's turn; at once for one that is not large."""
        if size_bytes >= LARGE_BYTES:
            async with self._one:
                await asyncio.sleep(0)
