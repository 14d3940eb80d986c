"""The places of a provider, and the queue for them: requests come, are answered, and leave in any order."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccr.errors import UpstreamError
from ccr.upstream.limits import Places


class Queue(RuleBasedStateMachine):
    """holding: requests that have a place; waiting: those that asked and have none, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.holding: list[asyncio.Task[None]] = []
        self.waiting: list[asyncio.Task[None]] = []

    @initialize(most=st.integers(1, 3), most_waiting=st.integers(0, 4))
    def begin(self, most: int, most_waiting: int) -> None:
        self.most, self.most_waiting = most, most_waiting
        self.places = Places("p", most=most, most_waiting=most_waiting, queue_s=1000)

    def settle(self) -> None:
        """Let everybody run who can, and sort out who has a place."""

        async def rounds() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rounds())
        given = [task for task in self.waiting if task.done()]
        assert given == self.waiting[: len(given)], "first come, first served"
        self.waiting = self.waiting[len(given) :]
        self.holding += given

    @rule()
    def ask(self) -> None:
        is_full = len(self.holding) >= self.most and len(self.waiting) >= self.most_waiting
        refused = self.places.refused
        task = self.loop.create_task(self.places.take())
        self.loop.run_until_complete(asyncio.sleep(0))
        if is_full:
            assert task.done()
            error = task.exception()
            assert isinstance(error, UpstreamError)
            assert (error.status, error.retry_after_s, self.places.refused) == (429, 1, refused + 1)
            return
        self.waiting.append(task)
        self.settle()

    @precondition(lambda self: self.holding)
    @rule(index=st.integers(0, 10))
    def be_answered(self, index: int) -> None:
        self.holding.pop(index % len(self.holding))
        self.places.leave()
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(index=st.integers(0, 10))
    def leave_the_queue(self, index: int) -> None:
        task = self.waiting.pop(index % len(self.waiting))
        task.cancel()
        self.settle()
        assert task.cancelled()

    @precondition(lambda self: self.holding and self.waiting)
    @rule(is_cancelled_first=st.booleans())
    def leave_when_ones_turn_comes(self, is_cancelled_first: bool) -> None:
        """A place is given to the one who leaves at that very moment: the next one gets it."""
        first = self.waiting.pop(0)
        self.holding.pop()
        if is_cancelled_first:
            first.cancel()
        self.places.leave()
        if not is_cancelled_first:
            first.cancel()
        self.settle()
        assert first.cancelled()

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        if hasattr(self, "places"):
            assert self.places.taken == len(self.holding) <= self.most
            assert self.places.waiting == len(self.waiting) <= self.most_waiting
            assert not self.waiting or self.places.taken == self.most

    def teardown(self) -> None:
        if hasattr(self, "places"):
            for task in self.waiting:
                task.cancel()
            self.waiting = []
            self.settle()
            for _ in self.holding:
                self.places.leave()
            assert (self.places.taken, self.places.waiting) == (0, 0)
        self.loop.close()


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
