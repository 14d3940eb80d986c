"""What is told beside the requests: in order, within a bound, and with a line for what is lost."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ccr.errors import UpstreamError
from ccr.gateway.outbox import Outbox


class Told:
    """What was told, and the log. opened: until it is set nothing is taken."""

    def __init__(self, **options: Any) -> None:
        self.things: list[int] = []
        self.errors: list[Exception] = []
        self.opened = asyncio.Event()
        self.log: list[logging.LogRecord] = []
        logger = logging.Logger("test")  # noqa: LOG001 - not shared between tests
        handler = logging.Handler()
        handler.emit = self.log.append  # type: ignore[assignment, method-assign] # a list is handler enough
        logger.addHandler(handler)
        self.outbox: Outbox[int] = Outbox("figures", self._tell, logger, **options)

    async def _tell(self, thing: int) -> None:
        await self.opened.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.things.append(thing)

    @property
    def said(self) -> list[str]:
        return [entry.getMessage() for entry in self.log]


async def test_all_is_told_in_order_and_at_the_end() -> None:
    told = Told()
    told.opened.set()
    for number in range(20):
        told.outbox.put(number)
    await told.outbox.close()
    assert told.things == list(range(20))
    assert told.said == []


async def test_nothing_was_ever_put_in() -> None:
    told = Told()
    await told.outbox.close()
    assert told.things == []


async def test_too_much_is_dropped_with_two_lines() -> None:
    told = Told(max_waiting=2)
    for number in range(10):
        told.outbox.put(number)
    told.opened.set()
    await told.outbox.close()
    assert told.things == [0, 1]
    assert told.said == [
        "figures: too much waits: figures are dropped until there is room",
        "figures: there is room again",
    ]
    assert told.log[1].__dict__["fields"] == {"dropped": 8}


async def test_the_same_failure_is_said_once() -> None:
    told = Told()
    told.opened.set()
    down = UpstreamError(502, "it is down")
    told.errors = [down, down, OSError("full")]
    for number in range(4):
        told.outbox.put(number)
    await told.outbox.close()
    assert told.things == [3]
    assert [entry.__dict__["fields"]["reason"] for entry in told.log] == ["it is down", "full"]


async def test_what_still_waits_at_the_end_is_dropped() -> None:
    told = Told()
    for number in range(3):
        told.outbox.put(number)
    await asyncio.sleep(0)
    await told.outbox.close(within_s=0.01)
    assert told.things == []
    assert told.said == ["figures: figures were dropped at the end"]
    assert told.log[0].__dict__["fields"] == {"dropped": 2}
