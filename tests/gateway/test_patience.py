from __future__ import annotations

import itertools

from ccr.config.model import Timeouts
from ccr.gateway.patience import Patience, Silence, Word

PATIENCE = Patience(ping_s=15, keep_alive_after_s=120, keep_alive_every_s=60, idle_s=300)


def words(*, until_s: int, hears_comments: bool = False) -> list[tuple[int, Word]]:
    silence = Silence(PATIENCE, 0)
    said: list[tuple[int, Word]] = []
    for now in range(15, until_s + 1, 15):
        if hears_comments:
            silence.heard()
        else:
            silence.waited(15)
        word = silence.word(now)
        if word is not None:
            said.append((now, word))
    return said


def test_pings_come_early_and_events_before_the_client_gives_up() -> None:
    said = words(until_s=300)
    assert [now for now, word in said if word == "ping"][:7] == [15, 30, 45, 60, 75, 90, 105]
    assert [now for now, word in said if word == "keep_alive"] == [120, 180, 240]
    assert said[-1] == (300, "give_up")


def test_an_upstream_that_sends_only_comments_is_not_given_up() -> None:
    said = words(until_s=900, hears_comments=True)
    assert all(word != "give_up" for _, word in said)
    times = [now for now, word in said if word == "keep_alive"]
    assert times[0] == 120
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {60}


def test_nothing_is_due_after_events() -> None:
    silence = Silence(PATIENCE, 0)
    silence.waited(14)
    silence.sent(100)
    assert silence.word(114) is None
    assert silence.word(115) == "ping"
    assert silence.word(116) is None


def test_a_client_that_takes_no_bytes_is_no_fault_of_the_upstream() -> None:
    silence = Silence(PATIENCE, 0)
    silence.waited(15)
    assert silence.word(10_000) == "keep_alive"


def test_before_the_first_byte_of_its_body_an_upstream_may_take_longer() -> None:
    patience = Patience(idle_s=10, first_byte_s=30)
    silence = Silence(patience, 0.0)
    silence.waited(29.9)
    assert silence.word(0.0) is None
    silence.waited(0.1)
    assert (silence.word(0.0), silence.limit_s) == ("give_up", 30)
    silence.heard()
    silence.waited(10.0)
    assert (silence.word(0.0), silence.limit_s) == ("give_up", 10)
    assert (patience.whole_s, Patience(idle_s=10).whole_s) == (30, 10)


def test_a_provider_may_say_something_else() -> None:
    patience = Patience(idle_s=10, first_byte_s=30)
    assert patience.with_provider(Timeouts()) is patience
    assert patience.with_provider(Timeouts(idle_s=3)) == Patience(idle_s=3, first_byte_s=30)
    assert patience.with_provider(Timeouts(first_byte_s=4)) == Patience(idle_s=10, first_byte_s=4)


def test_the_wait_for_the_upstream_ends_with_the_next_word() -> None:
    patience = Patience(ping_s=15, idle_s=20)
    silence = Silence(patience, 0.0, waited_s=15.0)
    assert silence.word(0.0) == "ping"
    assert silence.wait_s == 5.0
    silence.waited(5.0)
    assert (silence.wait_s, silence.word(5.0)) == (0.0, "give_up")
    silence.heard()
    assert silence.wait_s == 15.0
