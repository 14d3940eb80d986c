from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ccr.upstream.deadlines import Deadlines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def deadlines() -> AsyncIterator[Deadlines]:
    made = Deadlines()
    yield made
    made.close()
    assert not made._waits


async def test_what_comes_in_time_is_returned(deadlines: Deadlines) -> None:
    assert await deadlines.within(5, asyncio.sleep(0, "value")) == "value"


async def test_what_takes_too_long_is_cancelled(deadlines: Deadlines) -> None:
    event = asyncio.Event()
    with pytest.raises(TimeoutError):
        await deadlines.within(0.01, event.wait())
    assert await deadlines.within(5, asyncio.sleep(0.03, "value")) == "value"


async def test_an_error_passes(deadlines: Deadlines) -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await deadlines.within(5, fails())


async def test_each_wait_has_its_own_deadline(deadlines: Deadlines) -> None:
    async def late(seconds: float) -> float:
        with pytest.raises(TimeoutError):
            await deadlines.within(seconds, asyncio.Event().wait())
        return asyncio.get_running_loop().time()

    ended = await asyncio.gather(late(0.08), late(0.02), late(0.05))
    assert sorted(ended) == [ended[1], ended[2], ended[0]]


async def test_a_wait_that_ended_moves_the_timer_on(deadlines: Deadlines) -> None:
    await deadlines.within(0.01, asyncio.sleep(0))
    long = asyncio.create_task(deadlines.within(0.05, asyncio.Event().wait()))
    with pytest.raises(TimeoutError):
        await long


async def test_a_cancellation_from_outside_is_one(deadlines: Deadlines) -> None:
    task = asyncio.create_task(deadlines.within(5, asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_counts_more_than_the_deadline(deadlines: Deadlines) -> None:
    task: asyncio.Task[bool] = asyncio.create_task(deadlines.within(0.01, asyncio.Event().wait()))
    await asyncio.sleep(0)
    (wait,) = deadlines._waits
    wait.is_expired = True
    task.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_can_stand_inside_a_timeout(deadlines: Deadlines) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await deadlines.within(5, asyncio.Event().wait())
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await deadlines.within(0.01, asyncio.Event().wait())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
