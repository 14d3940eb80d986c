"""Sending a request until it is answered or must not be sent again, as retry, breaker and keys decide.

An answer that is a refusal is an answer, too: it is returned as it is when there are no more tries. Whoever
waits here can be cancelled at any moment: a pause is only slept, and nothing is held over it but the place.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccr.errors import UpstreamError
from ccr.protocol.error_bodies import error_body
from ccr.upstream.failures import UnansweredError
from ccr.upstream.retry import WINDOW_S, Failure, is_final, pause_before_retry, wait_from_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.config.model import Secret
    from ccr.upstream.answer import Answer
    from ccr.upstream.retry import Effort
    from ccr.upstream.standing import Standing

    Send = Callable[[Secret | None], Awaitable[Answer]]

MAX_PEEK_BYTES: Final = 64 * 1024
PEEK_S: Final = 10.0


@dataclass(frozen=True)
class Pace:
    """Time and chance, as tests want them. clock: monotonic seconds; wall: Unix time; random: from 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


async def answered(send: Send, standing: Standing, model: str, effort: Effort, pace: Pace) -> Answer:
    """Return the answer to a request, whatever its status.

    send: posts it once, with this key. model: whose breaker counts. Raises UpstreamError when there is no
    answer, or nothing may be sent.
    """
    breaker = standing.breaker(model)
    started_at = pace.clock()
    standing.budget.request()
    for number in range(standing.provider.network.retries + 1):
        now = pace.clock()
        if not breaker.admit(now):
            raise _resting(standing, model, breaker.wait_s(now) or 1.0, breaker.reason)
        key = standing.keys.take(now) if standing.keys is not None else None
        try:
            result, failure = await _sent_once(send, key, effort, pace)
        except BaseException:
            breaker.abandoned()
            raise
        _note(standing, model, key, failure, _why(standing, result), pace.clock())
        if failure is None:
            return _answer_of(result)
        effort.failures.append(f"{standing.provider.name},{model}: {failure.fault or failure.status}")
        pause_s = _pause(standing, model, failure, number, effort, pace, started_at)
        if pause_s is None:
            return _answer_of(result)
        if not isinstance(result, UpstreamError):
            result.close()
        effort.retries_left -= 1
        effort.retries += 1
        standing.retried += 1
        await pace.sleep(pause_s)
    raise AssertionError("the last try pauses for no other")  # pragma: no cover - see _pause


def _answer_of(result: Answer | UnansweredError) -> Answer:
    if isinstance(result, UnansweredError):
        raise result
    return result


async def _sent_once(
    send: Send, key: Secret | None, effort: Effort, pace: Pace
) -> tuple[Answer | UnansweredError, Failure | None]:
    effort.sent += 1
    try:
        answer = await send(key)
    except UnansweredError as error:
        return error, Failure(fault=error.fault)
    if answer.status < 400:
        return answer, Failure(fault="unanswered") if answer.is_empty else None
    try:
        return answer, await _failure(answer, pace)
    except BaseException:
        answer.close()
        raise


async def _failure(answer: Answer, pace: Pace) -> Failure:
    wait_s = wait_from_headers(answer.headers, now=pace.wall())
    if wait_s is None and answer.status == 429:
        said = await answer.peek(max_bytes=MAX_PEEK_BYTES, timeout_s=PEEK_S)
        wait_s = error_body(said).retry_after_s
        if wait_s is not None and not (math.isfinite(wait_s) and wait_s >= 0):
            wait_s = None
    return Failure(status=answer.status, wait_s=wait_s, is_final=is_final(answer.headers))


def _why(standing: Standing, result: Answer | UnansweredError) -> str:
    """Say of a result why it is a failure, for the person whose next request is not sent because of it."""
    if isinstance(result, UnansweredError):
        return result.message.removeprefix(f"{standing.provider.name}: ")
    return f"it answered {result.status}"


def _note(
    standing: Standing, model: str, key: Secret | None, failure: Failure | None, why: str, now: float
) -> None:
    """Let breaker and keys know how it went."""
    breaker, keys = standing.breaker(model), standing.keys
    if failure is None or not failure.is_outage:
        breaker.succeeded()
    else:
        breaker.failed(now, why)
    if keys is None or key is None:
        return
    if failure is None:
        keys.succeeded(key)
    else:
        keys.failed(key, failure.status, failure.wait_s, now)


def _pause(
    standing: Standing,
    model: str,
    failure: Failure,
    number: int,
    effort: Effort,
    pace: Pace,
    started_at: float,
) -> float | None:
    """Return how long to wait before the next try, None when there is none."""
    now = pace.clock()
    if number >= standing.provider.network.retries or effort.retries_left <= 0:
        return None
    if standing.breaker(model).wait_s(now) is not None:
        return None
    keys = standing.keys
    pause_s = pause_before_retry(
        failure,
        number=number,
        random=pace.random(),
        has_other_key=bool(standing.provider.more_keys) and keys is not None and keys.has_ready(now),
    )
    if pause_s is None or now + pause_s - started_at > WINDOW_S:
        return None
    return pause_s if standing.budget.take(now) else None


def _resting(standing: Standing, model: str, wait_s: float, reason: str) -> UpstreamError:
    wait = max(1, math.ceil(wait_s))
    return UpstreamError(
        503,
        f"{standing.provider.name}, {model}: not asked again for {wait} s, after failures: {reason}",
        retry_after_s=wait,
    )
