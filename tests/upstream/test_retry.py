from __future__ import annotations

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from ccr.upstream.retry import (
    REPLAY_WINDOW_S,
    Attempt,
    Budget,
    Failure,
    is_final,
    is_replayable,
    pause_before_retry,
    wait_from_headers,
)

_KEY = ConnectionKey("h", 1, False, True, None, None, None)
NOW = 1_700_000_000.0


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


@pytest.mark.parametrize(
    ("failure", "has_other_key", "first", "second"),
    [
        (Failure(fault="unconnected"), False, (0.2, 0.6), (0.4, 1.0)),
        (Failure(fault="unanswered"), False, None, None),
        (Failure(fault="unusable"), True, None, None),
        (Failure(status=408), False, (0.2, 0.6), (0.4, 1.0)),
        (Failure(status=409), False, (0.2, 0.6), (0.4, 1.0)),
        (Failure(status=500), True, (0.2, 0.6), (0.4, 1.0)),
        (Failure(status=529), False, (0.2, 0.6), (0.4, 1.0)),
        (Failure(status=503, wait_s=2), False, (2.0, 2.0), (2.0, 2.0)),
        (Failure(status=503, wait_s=0), False, (0.2, 0.6), (0.4, 1.0)),
        (Failure(status=503, wait_s=6), False, None, None),
        (Failure(status=503, is_final=True), False, None, None),
        (Failure(status=429), False, None, None),
        (Failure(status=429), True, (0.0, 0.0), (0.0, 0.0)),
        (Failure(status=429, wait_s=5), False, (5.0, 5.0), (5.0, 5.0)),
        (Failure(status=429, wait_s=5.1), False, None, None),
        (Failure(status=401), True, (0.0, 0.0), (0.0, 0.0)),
        (Failure(status=403), False, None, None),
        (Failure(status=501), True, None, None),
        (Failure(status=400), True, None, None),
        (Failure(status=404), True, None, None),
    ],
)
def test_pauses(
    failure: Failure,
    has_other_key: bool,
    first: tuple[float, float] | None,
    second: tuple[float, float] | None,
) -> None:
    for number, expected in ((0, first), (1, second), (7, second)):
        pauses = [
            pause_before_retry(failure, number=number, random=random, has_other_key=has_other_key)
            for random in (0.0, 1.0)
        ]
        assert pauses == ([None, None] if expected is None else pytest.approx(list(expected)))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "2"}, 2),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.5"}, 1),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "-5", "retry-after": "9"}, 9),
        ({"retry-after-ms": "9" * 12, "retry-after": "9"}, 9),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, 86_400),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert wait_from_headers(headers, now=NOW) == expected


def test_the_upstream_may_forbid_it() -> None:
    assert is_final({"X-Should-Retry": " False"})
    assert not is_final({"x-should-retry": "true", "x-other": "false"})


def test_the_budget_is_a_share_of_the_requests_and_a_few() -> None:
    budget = Budget(share=0.25, per_s=0.0, most=2.0)
    assert [budget.take(0.0) for _ in range(3)] == [True, True, False]
    for _ in range(3):
        budget.request()
    assert not budget.take(0.0)
    budget.request()
    assert budget.take(0.0)


def test_the_budget_fills_with_time_and_never_overflows() -> None:
    budget = Budget(share=1.0, per_s=1.0, most=2.0)
    for _ in range(10):
        budget.request()
    assert [budget.take(0.0) for _ in range(3)] == [True, True, False]
    assert not budget.take(0.5)
    assert budget.take(1.25)
    assert not budget.take(-100.0)
