"""A memory of bounded size."""

from __future__ import annotations

from ccr.upstream.images.cache import ENTRY_BYTES, BoundedCache


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(3 * (100 + ENTRY_BYTES))
    for number, key in enumerate("abc"):
        cache.put(key, number, 100)
    assert cache.get("a") == 0
    cache.put("d", 3, 100)
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]


def test_a_value_takes_the_place_of_an_earlier_one() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2 * (100 + ENTRY_BYTES))
    for number in range(10):
        cache.put("a", number, 100)
    cache.put("b", 7, 100)
    assert (cache.get("a"), cache.get("b"), len(cache)) == (9, 7, 2)


def test_what_is_too_large_is_not_held() -> None:
    cache: BoundedCache[str, int] = BoundedCache(1000)
    cache.put("a", 1, 100)
    cache.put("b", 2, 5000)
    assert (cache.get("b"), len(cache)) == (None, 0)
    cache.put("c", 3, 100)
    assert cache.get("c") == 3


def test_tiny_values_are_bounded_too() -> None:
    cache: BoundedCache[int, int] = BoundedCache(10 * ENTRY_BYTES)
    for number in range(100):
        cache.put(number, number, 0)
    assert len(cache) == 10
