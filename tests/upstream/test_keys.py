from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ccr.config.model import Secret
from ccr.upstream.keys import LIMIT_S, REFUSED_S, TROUBLE_S, Keys

A, B, C = Secret("a"), Secret("b"), Secret("c")


def test_keys_are_taken_in_turn() -> None:
    keys = Keys([A, B, A])
    assert [keys.take(0.0).reveal() for _ in range(4)] == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("status", "wait_s", "cooling_s"),
    [
        (401, None, REFUSED_S),
        (403, 1.0, REFUSED_S),
        (429, None, LIMIT_S),
        (429, 7.0, 7.0),
        (429, 1e9, 3600.0),
        (503, None, TROUBLE_S),
    ],
)
def test_a_key_cools_down(status: int, wait_s: float | None, cooling_s: float) -> None:
    keys = Keys([A, B])
    assert keys.take(0.0) == A
    keys.failed(A, status, wait_s, 0.0)
    assert keys.take(0.0) == B
    assert keys.take(0.0) == B
    assert keys.snapshot(cooling_s - 0.1) == {"count": 2, "cooling": 1}
    assert keys.take(cooling_s) == A


def test_what_says_nothing_of_the_key_is_ignored() -> None:
    keys = Keys([A, B])
    keys.failed(A, 400, None, 0.0)
    keys.failed(A, 0, None, 0.0)
    assert keys.take(0.0) == A


def test_when_all_cool_down_the_one_ready_soonest_is_taken() -> None:
    keys = Keys([A, B, C])
    keys.failed(A, 429, 30.0, 0.0)
    keys.failed(B, 429, 10.0, 0.0)
    keys.failed(C, 401, None, 0.0)
    assert not keys.has_ready(0.0)
    assert keys.take(0.0) == B
    keys.succeeded(B)
    assert keys.has_ready(0.0)


def test_a_longer_cooling_is_not_cut_short() -> None:
    keys = Keys([A, B])
    keys.failed(A, 401, None, 0.0)
    keys.failed(A, 503, None, 1.0)
    assert keys.snapshot(REFUSED_S - 1) == {"count": 2, "cooling": 1}


def test_a_single_key_never_cools_down() -> None:
    keys = Keys([A])
    keys.failed(A, 401, None, 0.0)
    assert keys.has_ready(0.0)
    assert keys.take(0.0) == A


class Pool(RuleBasedStateMachine):
    """Keys fail and recover in any order while time goes on."""

    @initialize()
    def begin(self) -> None:
        self.keys = Keys([A, B, C])
        self.now = 0.0
        self.ready_at = {"a": 0.0, "b": 0.0, "c": 0.0}

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        taken = self.keys.take(self.now).reveal()
        ready = {name for name, at in self.ready_at.items() if at <= self.now}
        if ready:
            assert taken in ready
        else:
            assert self.ready_at[taken] == min(self.ready_at.values())
        assert self.keys.has_ready(self.now) == bool(ready)

    @rule(name=st.sampled_from("abc"), wait_s=st.floats(0, 3600))
    def limit(self, name: str, wait_s: float) -> None:
        self.keys.failed(Secret(name), 429, wait_s, self.now)
        self.ready_at[name] = max(self.ready_at[name], self.now + wait_s)

    @rule(name=st.sampled_from("abc"))
    def succeed(self, name: str) -> None:
        self.keys.succeeded(Secret(name))
        self.ready_at[name] = 0.0


TestPool = Pool.TestCase
