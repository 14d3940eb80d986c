"""What is repaired how often, what is remembered of it, for how long, and what status is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.gateway.repairing import (
    MAX_LEARNT,
    MAX_MODELS,
    MAX_WINDOWS,
    MIN_LEARNT_TOKENS,
    WINDOW_S,
    Attempt,
    Repairing,
)

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest

RATE = b"REQUEST_LIMIT_EXCEEDED: Exceeded workspace output tokens per minute rate limit"
SIGNATURE = b"messages.1.content.0: Invalid `signature` in `thinking` block"
OVERFLOW = b"prompt is too long: 2 tokens > 1 maximum"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repairing(clock: Clock) -> Repairing:
    return Repairing(clock)


def chat(**keys: Any) -> ChatRequest:
    whole: Any = {"model": "m", "messages": [{"role": "user", "content": "u"}], "max_tokens": 32_000, **keys}
    return whole  # type: ignore[no-any-return]  # any keys, as clients may send them


def extra(name: str) -> bytes:
    inner = json.dumps({"message": f"{name}: Extra inputs are not permitted"})
    return json.dumps({"error_code": "BAD_REQUEST", "message": inner}).encode()


def repaired(attempt: Attempt[ChatRequest], *refusals: bytes, status: int = 400) -> list[bool]:
    return [attempt.repair(status, refusal) for refusal in refusals]


def test_an_accepted_repair_is_applied_to_later_requests_of_that_model(repairing: Repairing) -> None:
    first = repairing.begin("p,m", chat(store=1))
    assert not first.rules
    assert repaired(first, extra("store")) == [True]
    assert first.request == chat()
    assert first.rules == ("unknown_field_removed",)
    first.accept()
    second = repairing.begin("p,m", chat(store=1, seed=2))
    assert second.request == chat(seed=2)
    assert second.rules == ("unknown_field_removed",)
    for model in ("p,other", "other,m"):
        assert repairing.begin(model, chat(store=1)).request == chat(store=1)
    untouched = chat(seed=2)
    third = repairing.begin("p,m", untouched)
    assert third.request is untouched
    assert third.rules == ()
    assert repairing.snapshot() == {"p,m": {"unknown_field_removed": {"store": 2}}}


def test_a_repair_that_did_not_help_is_not_remembered(repairing: Repairing) -> None:
    attempt = repairing.begin("p,m", chat(store=1))
    assert repaired(attempt, extra("store"), extra("store")) == [True, False]
    assert repairing.begin("p,m", chat(store=1)).request == chat(store=1)


@pytest.mark.parametrize(("status", "refusal"), [(503, b""), (400, OVERFLOW), (429, b"slow down")])
def test_a_repair_before_a_failure_of_another_kind_is_not_proven(
    repairing: Repairing, status: int, refusal: bytes
) -> None:
    attempt = repairing.begin("p,m", chat(store=1))
    assert repaired(attempt, extra("store")) == [True]
    assert repaired(attempt, refusal, status=status) == [False]
    assert repairing.begin("p,m", chat(store=1)).request == chat(store=1)


def test_fields_refused_one_after_the_other_are_learnt_even_when_they_are_too_many(
    repairing: Repairing,
) -> None:
    fields = dict.fromkeys("abcdefg", 1)
    attempt = repairing.begin("p,m", chat(**fields))
    assert repaired(attempt, *map(extra, "abcd")) == [True, True, True, False]
    assert attempt.rules == ("unknown_field_removed",)
    attempt = repairing.begin("p,m", chat(**fields))
    assert attempt.request == chat(**dict.fromkeys("defg", 1))
    assert repaired(attempt, *map(extra, "defg")) == [True, True, True, False]
    attempt = repairing.begin("p,m", chat(**fields))
    assert repaired(attempt, extra("g")) == [True]
    attempt.accept()
    assert repairing.begin("p,m", chat(**fields)).request == chat()


def test_different_rules_mend_one_request(repairing: Repairing) -> None:
    attempt = repairing.begin("p,m", chat(temperature=1, thinking={"type": "adaptive"}))
    refusals = [
        b"adaptive thinking is not supported on this model",
        b"`temperature` is deprecated for this model",
        b"max_tokens (32000) cannot exceed 8192",
        b"top_k: Extra inputs are not permitted",
    ]
    assert repaired(attempt, *refusals) == [True, True, True, False]
    attempt.accept()
    expected = chat(max_tokens=8192, thinking={"type": "enabled", "budget_tokens": 8191})
    assert attempt.request == expected
    assert attempt.rules == ("thinking_kind_switched", "sampling_removed", "max_tokens_lowered")
    again = repairing.begin("p,m", chat(temperature=1, thinking={"type": "adaptive"}))
    assert again.request == expected
    assert again.rules == attempt.rules


def test_a_lower_limit_takes_the_place_of_the_one_learnt_before(repairing: Repairing) -> None:
    for limit in (8192, 4096):
        attempt = repairing.begin("p,m", chat())
        assert repaired(attempt, b"max_tokens (32000) cannot exceed %d" % limit) == [True]
        attempt.accept()
    assert repairing.begin("p,m", chat()).request == chat(max_tokens=4096)
    assert repairing.snapshot()["p,m"] == {"max_tokens_lowered": {"8192": 2, "4096": 2}}


def test_a_signature_is_mended_for_one_request_and_counted(repairing: Repairing) -> None:
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "", "signature": "s"}]}
    answer = {"role": "assistant", "content": [reasoning, {"type": "text", "text": "a"}]}
    for _ in range(2):
        attempt = repairing.begin("p,m", chat(messages=[answer]))
        assert attempt.request == chat(messages=[answer])
        assert repaired(attempt, SIGNATURE) == [True]
        attempt.accept()
    rule = {"thinking_history_removed": {"reasoning in messages": 2}}
    assert repairing.snapshot() == {"p,m": rule}


def test_a_reservation_is_halved_once_a_request_and_further_by_the_client_s_repetitions(
    repairing: Repairing,
) -> None:
    asked = []
    for _ in range(4):
        attempt = repairing.begin("p,m", chat())
        halved = repaired(attempt, RATE, RATE, status=429)
        assert halved[1:] == [False]
        asked.append(attempt.request["max_tokens"])
    assert asked == [16_000, 8000, 4000, 2048]
    assert repairing.begin("p,m", chat()).request["max_tokens"] == MIN_LEARNT_TOKENS
    assert repairing.begin("p,m", chat(max_tokens=3000)).rules == ()
    assert repairing.snapshot()["p,m"]["max_tokens_halved"]["max_tokens"] == 8


def test_a_learnt_reservation_doubles_with_each_window_until_it_is_forgotten(
    repairing: Repairing, clock: Clock
) -> None:
    attempt = repairing.begin("p,m", chat(max_tokens=10_000))
    assert repaired(attempt, RATE, status=429) == [True]
    attempt.accept()
    allowed = []
    for _ in range(MAX_WINDOWS + 2):
        allowed.append(repairing.begin("p,m", chat(max_tokens=100_000)).request["max_tokens"])
        clock.now += WINDOW_S
    assert allowed[:6] == [5000, 10_000, 20_000, 40_000, 80_000, 100_000]
    assert set(allowed[5:]) == {100_000}
    clock.now = 1000.0  # forgotten, and not only passed over
    assert repairing.begin("p,m", chat(max_tokens=100_000)).rules == ()


def test_memory_is_bounded(repairing: Repairing) -> None:
    for number in range(MAX_MODELS + 1):
        attempt = repairing.begin(f"p,{number}", chat(store=1))
        assert repaired(attempt, extra("store")) == [True]
        attempt.accept()
    assert len(repairing.snapshot()) == MAX_MODELS
    assert repairing.begin("p,0", chat(store=1)).rules == ()
    for number in range(MAX_LEARNT + 1):
        attempt = repairing.begin("p,1", chat(**{f"f{number}": 1}))
        assert repaired(attempt, extra(f"f{number}")) == [True]
        attempt.accept()
    assert len(repairing.snapshot()["p,1"]["unknown_field_removed"]) == MAX_LEARNT
    assert repairing.begin("p,1", chat(store=1)).rules == ()
    assert repairing.begin("p,1", chat(f1=1)).rules == ("unknown_field_removed",)


def test_a_snapshot_is_a_copy(repairing: Repairing) -> None:
    attempt = repairing.begin("p,m", chat(store=1))
    assert repaired(attempt, extra("store")) == [True]
    repairing.snapshot().clear()
    repairing.snapshot()["p,m"].clear()
    assert json.loads(json.dumps(repairing.snapshot())) == {"p,m": {"unknown_field_removed": {"store": 1}}}


def test_what_is_not_sent_is_repaired_and_not_counted(repairing: Repairing) -> None:
    first = repairing.begin("p,m", chat(store=1))
    assert repaired(first, extra("store")) == [True]
    first.accept()
    counted = repairing.snapshot()
    in_mind = repairing.uncounted()
    assert in_mind.begin("p,m", chat(store=1)).request == chat()
    assert repairing.snapshot() == counted
    later = repairing.begin("p,m", chat(seed=1))
    assert repaired(later, extra("seed")) == [True]
    later.accept()
    assert in_mind.begin("p,m", chat(seed=1)).request == chat(), "what is learnt later is known as well"
