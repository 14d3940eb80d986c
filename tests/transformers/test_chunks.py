"""Streams through chunk steps: whole at any cut, in reverse order, and honest about their end."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import ProtocolError, TransformerError
from ccr.protocol.sse import Decoder
from ccr.transformers.base import ChunkStep
from ccr.transformers.chunks import ChunkFilter
from ccr.transformers.steps import NamedChunkStep

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE = b"data: [DONE]\n\n"
Chunk = dict[str, Any]


def chunk(text: str | None = None, finish_reason: str | None = None) -> Chunk:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunks_in(data: bytes) -> list[Any]:
    """Return what the events of a stream hold; what is no JSON as text."""
    decoder = Decoder()
    events = decoder.feed(data) + decoder.close()
    return [json.loads(each.data) if each.data[:1] == b"{" else each.data.decode() for each in events]


def texts(data: bytes) -> list[str]:
    chunks = [each for each in chunks_in(data) if isinstance(each, dict) and each.get("choices")]
    return [each["choices"][0]["delta"].get("content", "") for each in chunks]


class Suffix(ChunkStep):
    """Writes a suffix behind every text."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        for choice in chunk["choices"]:
            if "content" in choice["delta"]:
                choice["delta"]["content"] += self.suffix
        return (chunk,)


class Holding(ChunkStep):
    """Keeps everything until the end."""

    def __init__(self) -> None:
        self.held: list[Chunk] = []

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        self.held.append(chunk)
        return ()

    def end(self) -> Iterable[Chunk]:
        return self.held


class Twice(ChunkStep):
    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        yield chunk
        yield json.loads(json.dumps(chunk))


class Failing(ChunkStep):
    def __init__(self, result: Any, *, at: str = "chunk") -> None:
        self.result = result
        self.at = at

    def _made(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        bad = self.at == "chunk" and chunk["choices"][0]["delta"].get("content") == "bad"
        return cast("Iterable[Chunk]", self._made()) if bad else (chunk,)

    def end(self) -> Iterable[Chunk]:
        return cast("Iterable[Chunk]", self._made()) if self.at == "end" else ()


def through(*steps: ChunkStep) -> ChunkFilter:
    return ChunkFilter([NamedChunkStep(f"step {number}", step) for number, step in enumerate(steps)])


STREAM = event(chunk("a")) + event(chunk("ü")) + event(chunk(None, "stop")) + DONE


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_cut_gives_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = through(Suffix("1"), Suffix("2"))
    out = b"".join(chunks.feed(STREAM[a:b]) for a, b in pairwise(places))
    out += chunks.close()
    assert texts(out) == ["a12", "ü12", ""]
    assert out.endswith(DONE)


def test_each_step_sees_all_that_the_one_before_makes() -> None:
    assert texts(through(Twice(), Suffix("x")).feed(event(chunk("a")))) == ["ax", "ax"]


def test_what_is_held_comes_before_the_end_and_passes_the_steps_after() -> None:
    chunks = through(Holding(), Suffix("x"))
    assert chunks.feed(STREAM[: -len(DONE)]) == b""
    assert chunks.is_finishing
    out = chunks.feed(DONE)
    assert texts(out) == ["ax", "üx", ""]
    assert out.endswith(DONE)
    assert chunks.close() == b""


def test_the_end_of_the_bytes_is_an_end_after_a_finish_reason() -> None:
    chunks = through(Holding())
    chunks.feed(event(chunk("a", "stop")))
    assert texts(chunks.close()) == ["a"]
    assert chunks.close() == b""


def test_a_cut_stream_gives_nothing_that_was_held() -> None:
    chunks = through(Holding())
    assert chunks.feed(event(chunk("a"))) == b""
    assert chunks.finish() == b""
    assert chunks.close() == b""


def test_done_without_an_empty_line() -> None:
    chunks = through(Holding())
    chunks.feed(event(chunk("a")) + b"data: [DONE]")
    out = chunks.close()
    assert texts(out) == ["a"]
    assert out.endswith(DONE)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b'data: {"error":{"message":"x"}}\n\n',
        b'data: {"choices":null}\n\n',
        b"data: [1]\n\n",
        b'event: error\ndata: {"choices":[]}\n\n',
        b"data: a\ndata: b\n\n",
        b"data: " + b"[" * 5000 + b"\n\n",
    ],
)
def test_what_is_no_chunk_stays_as_it_is(data: bytes) -> None:
    assert through(Holding()).feed(data) == data


def test_what_follows_the_end_stays_as_it_is() -> None:
    late = event(chunk("late"))
    chunks = through(Suffix("x"))
    chunks.feed(STREAM)
    assert chunks_in(chunks.feed(late + DONE)) == [chunk("late"), "[DONE]"]


def test_half_surrogates_are_replaced() -> None:
    chunks = through(Suffix("x"))
    data = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
    assert texts(chunks.feed(data)) == ["\ufffdx"]
    assert chunks.has_replaced_half_surrogates


def test_large_numbers_stay_exact() -> None:
    data = b'data: {"choices":[],"created":123456789012345678901234567890}\n\n'
    assert b"123456789012345678901234567890" in through(ChunkStep()).feed(data)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ValueError("no"), "step 0 failed in chunk: ValueError: no"),
        (None, "it returned nothing, not a list of chunks"),
        ({"choices": []}, "it returned dict, not a list of chunks"),
        (["x"], "it returned str, not a list of chunks"),
        ([{"choices": [], "x": object()}], "step 0 failed in chunk: TypeError"),
    ],
)
def test_a_step_that_fails_ends_the_stream_after_what_came_before(result: Any, said: str) -> None:
    chunks = through(Failing(result))
    assert texts(chunks.feed(event(chunk("good")) + event(chunk("bad")) + event(chunk("never")))) == ["good"]
    with pytest.raises(TransformerError, match=said):
        chunks.feed(event(chunk("never")))
    with pytest.raises(TransformerError, match=said):
        chunks.close()


def test_a_step_that_fails_with_nothing_before_raises_at_once() -> None:
    with pytest.raises(TransformerError, match="failed in chunk"):
        through(Failing(ValueError())).feed(event(chunk("bad")))


def test_a_step_that_fails_at_the_end() -> None:
    chunks = through(Failing(ValueError("no"), at="end"))
    assert texts(chunks.feed(STREAM)) == ["a", "ü", ""]
    with pytest.raises(TransformerError, match="failed in end: ValueError: no"):
        chunks.close()


@pytest.mark.parametrize("call", ["finish", "close"])
def test_a_step_that_fails_at_an_end_without_done(call: str) -> None:
    chunks = through(Failing(None, at="end"))
    chunks.feed(event(chunk("a", "stop")))
    with pytest.raises(TransformerError, match="failed in end: it returned nothing"):
        getattr(chunks, call)()


def test_what_the_second_step_held_is_kept_when_the_first_fails_at_the_end() -> None:
    chunks = through(Holding(), Failing(ValueError("no"), at="end"))
    chunks.feed(event(chunk("a", "stop")))
    assert texts(chunks.finish()) == ["a"]
    with pytest.raises(TransformerError, match="step 1 failed in end"):
        chunks.close()


def test_an_event_that_is_too_large_is_the_upstreams_fault() -> None:
    with pytest.raises(ProtocolError):
        through(ChunkStep()).feed(b"data: " + b"x" * (17 << 20))
