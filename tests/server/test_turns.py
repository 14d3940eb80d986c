"""Large bodies take turns: whatever else is to be done gets its turn in between."""

from __future__ import annotations

import asyncio
import itertools

from ccr.server.turns import LARGE_BYTES, Turns
from tests.gateway.test_messages import post
from tests.server.service import config_for, running
from tests.upstream.raw import good_completion, raw_upstream


async def test_between_two_large_bodies_everything_else_moves() -> None:
    turns, order = Turns(), []

    async def body(size: int, name: str) -> None:
        await turns.take(size)
        order.append(name)

    async def others() -> None:
        while order.count("large") < 5:
            order.append(".")
            await asyncio.sleep(0)

    small = [body(LARGE_BYTES - 1, "small") for _ in range(3)]
    await asyncio.gather(*(body(LARGE_BYTES, "large") for _ in range(5)), *small, others())
    assert order[:3] == ["small"] * 3, "what is small waits for nobody"
    large = [index for index, name in enumerate(order) if name == "large"]
    assert all("." in order[one:next_] for one, next_ in itertools.pairwise(large))


async def test_who_leaves_while_waiting_keeps_nobody_waiting() -> None:
    turns = Turns()
    tasks = [asyncio.create_task(turns.take(LARGE_BYTES)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    async with asyncio.timeout(5):
        await tasks[2]


async def test_large_bodies_arrive_whole() -> None:
    text = "x" * (2 * LARGE_BYTES)
    messages = [{"role": "user", "content": text}]
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await asyncio.gather(*(post(service, messages=messages) for _ in range(5)))
        assert [each.status for each in answered] == [200] * 5
        assert all(text.encode() in got.body for got in raw.got)
