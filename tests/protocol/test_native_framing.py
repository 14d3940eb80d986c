"""Reads are cut where events end, whatever the line ends, and no byte is lost or moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import ProtocolError
from ccr.protocol.native_framing import Framer, frames
from ccr.protocol.sse import Decoder


@pytest.mark.parametrize(
    ("reads", "out"),
    [
        ([b"a\n\n"], [b"a\n\n"]),
        ([b"a\n\nb"], [b"a\n\n"]),
        ([b"a", b"\n", b"\nb\n\n"], [b"", b"", b"a\n\nb\n\n"]),
        ([b"a\n", b"\n", b"\n", b"\nb"], [b"", b"a\n\n", b"\n", b"\n"]),
        ([b"\n\r\n", b"b"], [b"\n\r\n", b""]),
        ([b"a\r\n\r", b"\nb"], [b"", b"a\r\n\r\n"]),
        ([b"a\r\n\r", b"b"], [b"", b"a\r\n\r"]),
        ([b"a\r\r", b"b\r\rc"], [b"", b"a\r\rb\r\r"]),
        ([b"a\r", b"\nb\n\r", b"\nc"], [b"", b"", b"a\r\nb\n\r\n"]),
        ([b"", b"a\n\n"], [b"", b"a\n\n"]),
    ],
)
def test_reads(reads: list[bytes], out: list[bytes]) -> None:
    framer = Framer()
    assert [framer.feed(read) for read in reads] == out


@pytest.mark.parametrize(("data", "rest"), [(b"a\r\r", b"a\r\r\n"), (b"a\r", b""), (b"a\n", b""), (b"", b"")])
def test_the_end_of_the_bytes_settles_a_doubt(data: bytes, rest: bytes) -> None:
    framer = Framer()
    assert framer.feed(data) == b""
    assert framer.close() == rest


def test_a_large_event_is_an_error() -> None:
    framer = Framer(max_event_bytes=4)
    assert framer.feed(b"abc\n\nabcd") == b"abc\n\n"
    with pytest.raises(ProtocolError, match="larger than 4 bytes"):
        framer.feed(b"e")


STREAMS = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b"event: y", b": c", b"\n\n", b"\r\n\r\n"]),
    max_size=20,
).map(b"".join)


@given(STREAMS, st.data())
def test_any_cut_lets_out_the_same_bytes_and_only_whole_events(data: bytes, draw: st.DataObject) -> None:
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    framer = Framer()
    out = b""
    for begin, stop in zip([0, *places], [*places, len(data)], strict=True):
        out += framer.feed(data[begin:stop])
    out += framer.close()
    at_once = Framer()
    assert out == at_once.feed(data) + at_once.close()
    assert (data + b"\n").startswith(out)
    assert Decoder().feed(out) == Decoder().feed(data)
    assert b"".join(frames(out)) == out
    assert [event for frame in frames(out) for event in Decoder().feed(frame)] == Decoder().feed(out)
