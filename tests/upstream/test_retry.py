from __future__ import annotations

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ccr.upstream.retry import REPLAY_WINDOW_S, Attempt, is_replayable

_KEY = ConnectionKey("h", 1, False, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "is_reused", "after_s", "expected"),
    [
        (aiohttp.ServerDisconnectedError(), True, 0.01, True),
        (aiohttp.ClientOSError(104, "reset"), True, 0.01, True),
        (aiohttp.ServerDisconnectedError(), False, 0.01, False),
        (aiohttp.ServerDisconnectedError(), True, REPLAY_WINDOW_S + 1, False),
        (aiohttp.ClientConnectorError(_KEY, OSError(111, "refused")), True, 0.01, False),
        (TimeoutError(), True, 0.01, False),
        (aiohttp.ClientPayloadError(), True, 0.01, False),
    ],
)
def test_only_a_dead_pooled_connection_is_replayed(
    error: Exception, is_reused: bool, after_s: float, expected: bool
) -> None:
    assert is_replayable(error, Attempt(100.0, is_reused), now=100.0 + after_s) is expected
