"""The stream that the image agent makes of several: what happens between them, without a network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.errors import ApiError
from ccr.gateway.image_analyses import whole
from ccr.gateway.image_reply import ImageReply
from ccr.gateway.patience import Patience
from ccr.gateway.record import Record
from ccr.gateway.replies import Client, Reply
from ccr.protocol.image_rounds import Iteration, Result, Round
from tests.protocol.test_image_stream import TOOL, block, call, check_grammar, end, head

if TYPE_CHECKING:
    from ccr.gateway.image_agent import Rounds

CALLS = head() + call(0) + end("tool_use")


class Stream:
    """A reply that gives what it was made with. closed: how often it was closed."""

    def __init__(self, *reads: bytes, error: Exception | None = None) -> None:
        self.headers: dict[str, str] = {}
        self.reads = list(reads)
        self.error = error
        self.closed = 0

    async def next(self) -> bytes:
        if self.error is not None:
            raise self.error
        return self.reads.pop(0) if self.reads else b""

    def close(self) -> None:
        self.closed += 1


class Answers:
    """Stands for `Rounds`. after: the next round's reply; waits: until when it takes."""

    def __init__(self, after: Stream | Reply | ApiError, waits: asyncio.Event | None = None) -> None:
        self.tool = TOOL
        self.record = Record(Client("r"), "messages", 0.0, 0)
        self.error: BaseException | None = None
        self.ended: list[BaseException | None] = []
        self.recorder = self
        self._after = after
        self._waits = waits

    def end(self, record: Record, error: BaseException | None) -> None:
        assert record is self.record
        self.ended.append(error)

    async def results(self, said: Round, iterations: list[Iteration]) -> list[Result]:
        assert iterations
        return [Result(each, "red") for each in said.calls]

    async def again(self, said: Round, results: list[Result]) -> Stream | Reply:
        assert len(said.calls) == len(results)
        if self._waits is not None:
            await self._waits.wait()
        if isinstance(self._after, ApiError):
            raise self._after
        return self._after


def reply_of(first: Stream, rounds: Answers, **patience: float) -> ImageReply:
    changes: Any = {"ping_s": 0.01, **patience}
    return ImageReply(
        first,
        cast("Rounds", rounds),
        patience=Patience(**changes),
        clock=asyncio.get_running_loop().time,
    )


async def all_of(reply: ImageReply) -> bytes:
    out = b""
    while data := await reply.next():
        out += data
    return out


@pytest.mark.parametrize("is_burst", [True, False])
async def test_the_next_round_follows(is_burst: bool) -> None:
    last = head() + block(0, "text", "Red.") + end("end_turn")
    after: Stream | Reply = Reply(200, last) if is_burst else Stream(last[:50], b": comment\n\n", last[50:])
    first = Stream(CALLS[:30], CALLS[30:])
    rounds = Answers(after)
    reply = reply_of(first, rounds)
    out = await all_of(reply)
    reply.close()
    assert [each["pieces"] for each in check_grammar(out)] == ["Red."]
    assert first.closed
    assert rounds.ended == [None]
    assert rounds.record.sent_bytes == len(out)


async def test_a_stream_without_an_end() -> None:
    first = Stream(head() + block(0, "text", "Re"))
    rounds = Answers(first)
    reply = reply_of(first, rounds)
    assert b"the answer has no end" in await all_of(reply)
    reply.close()
    [error] = rounds.ended
    assert isinstance(error, ApiError)


async def test_a_fault_of_ours_is_the_records() -> None:
    fault = ZeroDivisionError()
    rounds = Answers(Stream())
    reply = reply_of(Stream(error=fault), rounds)
    with pytest.raises(ZeroDivisionError):
        await reply.next()
    reply.close()
    assert rounds.ended == [fault]


@pytest.mark.parametrize("after", [Stream(b"never read"), ApiError(502, "gone")])
async def test_an_answer_that_nobody_waits_for_any_more(after: Stream | ApiError) -> None:
    """The client leaves at the moment at which the next answer has come."""
    waits = asyncio.Event()
    rounds = Answers(after, waits)
    reply = reply_of(Stream(CALLS), rounds)
    assert await reply.next() == head()
    assert b"ping" in await reply.next()
    waits.set()
    for _ in range(5):
        await asyncio.sleep(0)
    reply.close()
    await asyncio.sleep(0)
    if isinstance(after, Stream):
        assert after.closed == 1
    assert [type(each) for each in rounds.ended] == [asyncio.CancelledError]


async def test_an_answer_that_is_still_waited_for_is_given_up() -> None:
    rounds = Answers(Stream(), asyncio.Event())
    reply = reply_of(Stream(CALLS), rounds)
    await reply.next()
    await reply.next()
    tasks = asyncio.all_tasks()
    reply.close()
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) == len(tasks):  # noqa: ASYNC110 - that is what is asked
            await asyncio.sleep(0)
    assert [type(each) for each in rounds.ended] == [asyncio.CancelledError]


async def test_a_clock_that_is_behind_makes_no_sign_of_life() -> None:
    waits = asyncio.Event()
    rounds = Answers(Stream(head() + block(0, "text", "Red.") + end("end_turn")), waits)
    now = iter([0.0, 0.0, 0.0, 99.0])
    reply = ImageReply(
        Stream(CALLS), cast("Rounds", rounds), patience=Patience(ping_s=0.01), clock=lambda: next(now)
    )
    assert await reply.next() == head()
    assert b"ping" in await reply.next()
    waits.set()
    await all_of(reply)
    reply.close()
    assert rounds.ended == [None]


async def test_a_stream_that_nobody_asked_for_is_closed() -> None:
    record = Record(Client("r"), "image_agent", 0.0, 0, provider="eyes")
    stream = Stream(b"x")
    with pytest.raises(ApiError, match="eyes answered with a stream"):
        whole(stream, record)
    assert stream.closed == 1
