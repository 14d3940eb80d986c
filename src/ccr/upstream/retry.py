"""Whether a request that failed may be sent again. Pure.

A model's answer costs money, so a request is only repeated when the upstream cannot have worked on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aiohttp

REPLAY_WINDOW_S: Final = 1.0
"""A connection that was closed while idle fails within a round trip. Later, the request was read."""


@dataclass
class Attempt:
    """One try. started_at: monotonic seconds. is_reused: it went out on a connection used before."""

    started_at: float
    is_reused: bool = True


def is_replayable(error: Exception, attempt: Attempt, *, now: float) -> bool:
    """Tell whether the failure was a pooled connection that had died, before any byte of an answer."""
    is_dead = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(
        error, aiohttp.ClientConnectorError
    )
    return is_dead and attempt.is_reused and now - attempt.started_at <= REPLAY_WINDOW_S
