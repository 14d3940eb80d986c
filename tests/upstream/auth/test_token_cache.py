"""The life of a token, step by step, then under any sequence of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccr.config.model import Secret
from ccr.upstream.auth.token_cache import (
    ODDITY_PAUSE_S,
    REJECTION_PAUSE_S,
    Refuse,
    TokenCache,
    Use,
    Verdict,
    Wait,
)
from ccr.upstream.auth.tokens import Token
from tests.upstream.auth.fakes import Clock, outage


class Machine:
    """A cache, its clock, and short words for what happens to them."""

    def __init__(self, life_s: float | None = None) -> None:
        self.cache = TokenCache()
        self.clock = Clock()
        self.given = 0
        if life_s is not None:
            assert self.decide() == Wait(renew=True)
            self.renewed(life_s)

    def decide(self) -> Use | Wait | Refuse:
        return self.cache.decide(self.clock())

    def renewed(self, life_s: float | None, name: str | None = None) -> Secret:
        self.given += 1
        secret = Secret(name or f"t{self.given}")
        ends = None if life_s is None else self.clock.wall_s + life_s
        self.cache.renewed(Token(secret, ends), self.clock())
        return secret

    def failed(self) -> None:
        self.cache.failed(outage(), self.clock())

    def rejected(self, name: str) -> Wait | Refuse | Verdict:
        return self.cache.rejected(Secret(name), self.clock())

    @property
    def use(self) -> tuple[str, bool]:
        step = self.decide()
        assert isinstance(step, Use), step
        return step.token.secret.reveal(), step.renew


def test_the_first_request_renews_and_the_others_wait() -> None:
    machine = Machine()
    assert machine.cache.token is None
    assert [machine.decide() for _ in range(3)] == [Wait(renew=True), Wait(renew=False), Wait(renew=False)]
    machine.renewed(3600)
    assert machine.use == ("t1", False)


@pytest.mark.parametrize(
    ("life_s", "due_after_s", "over_after_s"),
    [
        (3, 2.4, 2.7),
        (60, 48, 54),
        (600, 480, 570),
        (900, 600, 870),
        (3600, 2880, 3570),
        (86400, 69120, 86370),
    ],
)
def test_when_a_token_is_due_and_when_it_is_over(
    life_s: float, due_after_s: float, over_after_s: float
) -> None:
    machine = Machine(life_s)
    machine.clock.pass_s(due_after_s - 0.01)
    assert machine.use == ("t1", False)
    machine.clock.pass_s(0.02)
    assert machine.use == ("t1", True)
    assert machine.use == ("t1", False), "only one renews"
    machine.clock.pass_s(over_after_s - due_after_s - 0.05)
    assert machine.use == ("t1", False)
    machine.clock.pass_s(0.1)
    assert machine.decide() == Wait(renew=False)
    machine.renewed(life_s)
    assert machine.use == ("t2", False)


def test_a_token_whose_end_nobody_knows_is_used_until_it_is_refused() -> None:
    machine = Machine()
    machine.decide()
    machine.renewed(None)
    machine.clock.pass_s(1e9)
    assert machine.use == ("t1", False)
    assert machine.rejected("t1") == Wait(renew=True)


def test_a_failing_renewal_blocks_nobody_while_the_token_is_good() -> None:
    machine = Machine(3600)
    machine.clock.pass_s(2900)
    pauses = []
    for _ in range(8):
        assert machine.use == ("t1", True)
        machine.failed()
        pause_s = 0.0
        while machine.cache._pause_s(machine.clock()):
            assert machine.use == ("t1", False)
            machine.clock.pass_s(0.5)
            pause_s += 0.5
        pauses.append(pause_s)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_token_in_its_last_seconds_is_better_than_none() -> None:
    machine = Machine(3600)
    machine.clock.pass_s(3580)
    assert machine.decide() == Wait(renew=True)
    machine.failed()
    assert machine.use == ("t1", False)
    machine.clock.pass_s(30)
    assert machine.decide() == Wait(renew=True)
    machine.failed()
    step = machine.decide()
    assert isinstance(step, Refuse)
    assert step.error.message == outage().message
    assert step.retry_in_s == pytest.approx(2)
    machine.clock.pass_s(2)
    assert machine.decide() == Wait(renew=True)
    machine.renewed(3600)
    assert machine.use == ("t2", False)


def test_a_refused_token_is_renewed_once_for_all() -> None:
    machine = Machine(3600)
    assert machine.rejected("t1") == Wait(renew=True)
    assert machine.rejected("t1") == Wait(renew=False)
    assert machine.decide() == Wait(renew=False), "nobody gets it any more"
    machine.renewed(3600)
    assert machine.rejected("t1") is Verdict.RETRY
    assert machine.use == ("t2", False)


def test_before_there_is_a_token_a_refused_one_is_an_old_one() -> None:
    assert Machine().rejected("other") is Verdict.RETRY


def test_an_identity_that_is_refused_is_no_reason_for_a_storm() -> None:
    machine = Machine(3600)
    renewals = 0
    for _ in range(20):
        name = f"t{machine.given}"
        if machine.rejected(name) == Wait(renew=True):
            renewals += 1
            machine.renewed(3600)
        else:
            assert machine.rejected(name) is Verdict.FINAL
            assert machine.use == (name, False), "it stays in use: it may be good elsewhere"
        machine.clock.pass_s(1)
    assert renewals == 2


def test_a_token_refused_at_its_end_is_an_ordinary_renewal() -> None:
    machine = Machine(3)
    for number in range(1, 8):
        machine.clock.pass_s(2.5)
        assert machine.rejected(f"t{number}") == Wait(renew=True)
        machine.renewed(3)


def test_a_source_that_gives_the_refused_token_again_ends_the_matter() -> None:
    machine = Machine(600)
    machine.clock.pass_s(500)
    assert machine.rejected("t1") == Wait(renew=True)
    machine.renewed(100, "t1")
    machine.clock.pass_s(1)
    assert machine.rejected("t1") is Verdict.FINAL
    machine.clock.pass_s(90)
    assert machine.rejected("t1") == Wait(renew=True), "a while later it is tried again"


def test_a_refusal_while_renewals_fail_says_why_they_do() -> None:
    machine = Machine(3600)
    assert machine.rejected("t1") == Wait(renew=True)
    machine.failed()
    assert isinstance(machine.rejected("t1"), Refuse)
    assert machine.use == ("t1", False), "others may be luckier with it"
    machine.clock.pass_s(1)
    assert machine.rejected("t1") == Wait(renew=True), "the failure does not count as a forced renewal"


def test_a_laptop_that_slept_finds_its_token_over() -> None:
    machine = Machine(3600)
    machine.clock.wall_s += 8 * 3600
    assert machine.decide() == Wait(renew=True)
    machine.renewed(3600)
    assert machine.use == ("t2", False)


@pytest.mark.parametrize("jump_s", [-86400, -3600, -1])
def test_a_clock_set_back_makes_no_token_younger(jump_s: float) -> None:
    machine = Machine(3600)
    machine.clock.wall_s += jump_s
    assert machine.use == ("t1", False)
    machine.clock.pass_s(2890)
    assert machine.use == ("t1", True)


@pytest.mark.parametrize("life_s", [0, -5, -86400])
@pytest.mark.fault("S69", outcome="at most one renewal a minute")
def test_a_token_that_comes_expired_is_used_and_asked_for_again_after_a_minute(life_s: float) -> None:
    machine = Machine(life_s)
    machine.clock.pass_s(59)
    assert machine.use == ("t1", False)
    machine.clock.pass_s(2)
    assert machine.use == ("t1", True)


@given(st.lists(st.tuples(st.floats(0.1, 30), st.sampled_from([0, 0, 86400, -86400, 7200])), max_size=80))
@pytest.mark.fault("S69", outcome="at most one renewal a minute")
def test_a_jumping_clock_causes_at_most_one_renewal_a_minute(steps: list[tuple[float, float]]) -> None:
    machine = Machine(3600)
    renewals, elapsed_s = 0, 0.0
    for seconds, jump_s in steps:
        machine.clock.pass_s(seconds)
        machine.clock.wall_s += jump_s
        elapsed_s += seconds
        step = machine.decide()
        assert not isinstance(step, Refuse)
        if step.renew:
            renewals += 1
            machine.renewed(3600)
    assert renewals <= 1 + elapsed_s / ODDITY_PAUSE_S


class TokenLife(RuleBasedStateMachine):
    """Requests, time, sleep, renewals that succeed or fail, refusals: in any order."""

    @initialize(life_s=st.sampled_from([3.0, 60.0, 700.0, 3600.0]))
    def begin(self, life_s: float) -> None:
        self.machine = Machine()
        self.life_s = life_s
        self.true_s = 0.0
        self.ends: dict[str, float] = {}
        self.running = 0
        self.refused: set[str] = set()
        self.renewals = self.reasons = 0

    def step_began(self, step: Use | Wait | Refuse | Verdict) -> None:
        if isinstance(step, Use | Wait) and step.renew:
            self.running += 1
            self.renewals += 1

    @rule()
    def request(self) -> None:
        step = self.machine.decide()
        self.step_began(step)
        if isinstance(step, Use):
            name = step.token.secret.reveal()
            assert name not in self.refused, "a refused token is not used while it is being replaced"
            assert self.true_s < self.ends[name], "an expired token is never used"
        if isinstance(step, Wait):
            assert self.running == 1, "whoever waits, waits for something"

    @rule(seconds=st.floats(0.01, 4000))
    def time_passes(self, seconds: float) -> None:
        self.machine.clock.pass_s(seconds)
        self.true_s += seconds

    @rule(seconds=st.floats(10, 50_000))
    def sleep(self, seconds: float) -> None:
        """A steady clock that stops. Within a minute of such a renewal it would look like a wild clock."""
        if self.machine.clock.steady_s - self.machine.cache._odd_at_s > ODDITY_PAUSE_S:
            self.machine.clock.wall_s += seconds
            self.true_s += seconds

    @precondition(lambda self: self.running)
    @rule()
    def renewal_succeeds(self) -> None:
        secret = self.machine.renewed(self.life_s)
        self.ends[secret.reveal()] = self.true_s + self.life_s
        self.running -= 1
        self.refused.clear()
        assert self.machine.use == (secret.reveal(), False), "all that waited get the new one"

    @precondition(lambda self: self.running)
    @rule()
    def renewal_fails(self) -> None:
        self.machine.failed()
        self.running -= 1
        self.refused.clear()
        assert not isinstance(self.machine.decide(), Wait), "nobody waits for what is not under way"

    @precondition(lambda self: self.machine.given)
    @rule(age=st.integers(0, 1))
    def token_is_refused(self, age: int) -> None:
        number = max(1, self.machine.given - age)
        step = self.machine.rejected(f"t{number}")
        self.step_began(step)
        if number < self.machine.given:
            assert step is Verdict.RETRY
        if isinstance(step, Wait):
            self.refused.add(f"t{number}")

    @invariant()
    def one_renewal_at_a_time(self) -> None:
        assert getattr(self, "running", 0) in {0, 1}


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_pause_after_a_rejection_keeps_two_in_twenty_seconds() -> None:
    assert REJECTION_PAUSE_S * 2 > 20
