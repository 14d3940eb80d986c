from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccr.upstream.breaker import MAX_FAILURES, OPEN_S, Breaker


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(MAX_FAILURES):
        assert breaker.admit(at)
        breaker.failed(at, "503")
    return breaker


def test_it_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(MAX_FAILURES - 1):
        breaker.failed(0.0, "503")
    breaker.succeeded()
    for _ in range(MAX_FAILURES - 1):
        breaker.failed(0.0, "503")
    assert breaker.state(0.0) == "closed"
    assert breaker.wait_s(0.0) is None
    breaker.failed(1.0, "502")
    assert breaker.state(1.0) == "open"
    assert breaker.wait_s(4.0) == OPEN_S - 3.0
    assert (breaker.opened, breaker.reason) == (1, "502")
    assert not breaker.admit(4.0)


def test_one_probe_closes_it() -> None:
    breaker = opened()
    assert breaker.state(OPEN_S) == "half_open"
    assert breaker.admit(OPEN_S)
    assert not breaker.admit(OPEN_S)
    assert breaker.wait_s(OPEN_S) == 1.0
    breaker.succeeded()
    assert breaker.state(OPEN_S) == "closed"
    assert breaker.admit(OPEN_S)


def test_a_failed_probe_opens_it_again() -> None:
    breaker = opened()
    assert breaker.admit(OPEN_S)
    breaker.failed(OPEN_S, "503")
    assert breaker.wait_s(OPEN_S) == OPEN_S
    assert breaker.opened == 2


def test_an_abandoned_probe_leaves_the_next_one_to_see() -> None:
    breaker = opened()
    assert breaker.admit(OPEN_S)
    breaker.abandoned()
    assert breaker.admit(OPEN_S)


def test_a_late_failure_does_not_prolong_it() -> None:
    breaker = opened()
    breaker.failed(10.0, "late")
    assert breaker.wait_s(10.0) == OPEN_S - 10.0
    assert breaker.reason == "503"


class Requests(RuleBasedStateMachine):
    """Requests come, succeed, fail and are abandoned in any order, while time goes on."""

    @initialize()
    def begin(self) -> None:
        self.breaker = Breaker()
        self.now = 0.0
        self.running = 0
        self.since_open = 0.0

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        wait_s = self.breaker.wait_s(self.now)
        assert self.breaker.admit(self.now) == (wait_s is None)
        self.running += wait_s is None

    @precondition(lambda self: self.running)
    @rule()
    def succeed(self) -> None:
        self.running -= 1
        self.breaker.succeeded()
        assert self.breaker.state(self.now) == "closed"

    @precondition(lambda self: self.running)
    @rule()
    def fail(self) -> None:
        self.running -= 1
        was = self.breaker.state(self.now)
        self.breaker.failed(self.now, "503")
        assert was == "closed" or self.breaker.state(self.now) != "closed"

    @precondition(lambda self: self.running)
    @rule()
    def abandon(self) -> None:
        self.running -= 1
        was = self.breaker.state(self.now)
        self.breaker.abandoned()
        assert self.breaker.state(self.now) == was

    @invariant()
    def it_never_rests_for_longer_than_it_says(self) -> None:
        wait_s = self.breaker.wait_s(self.now)
        assert wait_s is None or 0 < wait_s <= OPEN_S

    @invariant()
    def somebody_may_always_ask_when_nothing_runs_and_the_time_is_over(self) -> None:
        if not self.running and self.breaker.state(self.now) != "open":
            self.breaker.abandoned()
            assert self.breaker.wait_s(self.now) is None


TestRequests = Requests.TestCase
