from __future__ import annotations

import asyncio

import pytest

from ccr.errors import UpstreamError
from ccr.upstream.balance import least_loaded_first
from ccr.upstream.limits import Places


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_a_limit_places_are_only_counted() -> None:
    places = Places("p")
    for _ in range(100):
        await places.take()
    assert (places.taken, places.load) == (100, 100)
    places.leave()
    assert places.taken == 99


async def test_a_place_is_given_in_the_order_of_asking() -> None:
    places = Places("p", most=1, most_waiting=5)
    await places.take()
    order: list[int] = []

    async def wait(number: int) -> None:
        await places.take()
        order.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await settled()
    assert (places.taken, places.waiting, places.load) == (1, 3, 4)
    for expected in ([0], [0, 1], [0, 1, 2]):
        places.leave()
        await settled()
        assert order == expected
        assert places.taken == 1
    places.leave()
    assert (places.taken, places.waiting) == (0, 0)
    await asyncio.gather(*tasks)


async def test_the_queue_is_bounded() -> None:
    places = Places("p", most=1, most_waiting=0)
    await places.take()
    with pytest.raises(UpstreamError, match="max_concurrent") as caught:
        await places.take()
    error = caught.value
    assert (error.status, error.error_type, error.retry_after_s) == (429, "overloaded_error", 1)
    assert error.is_of_route
    assert places.refused == 1


async def test_waiting_has_an_end() -> None:
    places = Places("p", most=1, most_waiting=1, queue_s=0.001)
    await places.take()
    with pytest.raises(UpstreamError, match="none became free"):
        await places.take()
    assert (places.taken, places.waiting) == (1, 0)


async def test_who_leaves_the_queue_takes_no_place() -> None:
    places = Places("p", most=1, most_waiting=5)
    await places.take()
    task = asyncio.create_task(places.take())
    await settled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (places.taken, places.waiting) == (1, 0)
    places.leave()
    assert places.taken == 0


@pytest.mark.parametrize("is_cancelled_first", [True, False])
async def test_a_place_given_at_the_moment_of_leaving_goes_to_the_next(is_cancelled_first: bool) -> None:
    places = Places("p", most=1, most_waiting=5)
    await places.take()
    leaving = asyncio.create_task(places.take())
    staying = asyncio.create_task(places.take())
    await settled()
    if is_cancelled_first:
        leaving.cancel()
        places.leave()
    else:
        places.leave()
        leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await staying
    assert leaving.cancelled()
    assert (places.taken, places.waiting) == (1, 0)
    places.leave()
    assert places.taken == 0


def test_the_least_loaded_first() -> None:
    loads = {"a": 3.0, "b": 0.0, "c": 1.0}
    assert least_loaded_first("abc", name=str, load=loads.__getitem__, session="s") == ["b", "c", "a"]


def test_a_session_stays_where_it_is_among_equals() -> None:
    names = [f"w{number}" for number in range(5)]
    firsts = set()
    for session in range(40):
        orders = [
            least_loaded_first(each, name=str, load=lambda _: 0.0, session=f"s{session}")
            for each in (names, names[::-1])
        ]
        assert orders[0] == orders[1]
        firsts.add(orders[0][0])
    assert firsts == set(names)
