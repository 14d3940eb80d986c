from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.errors import ProtocolError
from ccr.protocol.sse import Decoder, Event


def decoded(*reads: bytes) -> list[Event]:
    decoder = Decoder()
    events = [event for data in reads for event in decoder.feed(data)]
    return events + decoder.close()


CASES = {
    "one": (b"data: a\n\n", [("", b"a")]),
    "two in one read": (b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    "no space after the colon": (b"data:a\n\n", [("", b"a")]),
    "one space only is dropped": (b"data:  a\n\n", [("", b" a")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
    "mixed line ends": (b"data: a\r\n\ndata: b\n\r\n", [("", b"a"), ("", b"b")]),
    "several data lines": (b"data: a\ndata:\ndata: b\n\n", [("", b"a\n\nb")]),
    "event, id, retry": (b"event: ping\nid: 1\nretry: 5\ndata: a\n\n", [("ping", b"a")]),
    "the last event line counts": (b"event: x\nevent:y\ndata: a\n\n", [("y", b"a")]),
    "comments": (b": keep-alive\n\n:x\ndata: a\n: y\n\n", [("", b"a")]),
    "a field without a colon": (b"data\nfoo\ndata: a\n\n", [("", b"\na")]),
    "unknown fields": (b"foo: x\ndata: a\n\n", [("", b"a")]),
    "an event without data is none": (b"event: x\n\ndata: \n\ndata:\n\ndata: a\n\n", [("", b"a")]),
    "empty lines": (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [("", b"a"), ("", b"b")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("", b"a")]),
    "multi-byte characters": ("data: ü世🌍\n\n".encode(), [("", "ü世🌍".encode())]),
    "a name that is not UTF-8": (b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
    "no empty line at the end": (b"data: a\n\ndata: b\n", [("", b"a")]),
    "no line end at the end": (b"data: a\n\ndata: b", [("", b"a")]),
    "[DONE] without an empty line": (b"data: a\n\ndata: [DONE]\n", [("", b"a"), ("", b"[DONE]")]),
    "[DONE] without a line end": (b"data: a\n\ndata:[DONE]", [("", b"a"), ("", b"[DONE]")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES.keys())
def test_events(data: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert decoded(data) == [Event(*event) for event in expected]
    assert decoded(*(data[i : i + 1] for i in range(len(data)))) == decoded(data)


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES.keys())
def test_every_single_cut_gives_the_same_events(data: bytes, expected: list[tuple[str, bytes]]) -> None:
    for cut in range(len(data) + 1):
        assert decoded(data[:cut], data[cut:]) == [Event(*event) for event in expected]


SNIPPETS = st.sampled_from(
    [
        b"data: a",
        b"data:",
        b"data: \xc3\xbc",
        b"event: x",
        b": c",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"z",
        b"data: [DONE]",
    ]
)


@settings(deadline=None)  # no test is timed
@given(st.lists(SNIPPETS, max_size=25).map(b"".join), st.data())
@pytest.mark.fault("T81", outcome="the same events as in one piece")
def test_any_cut_of_any_bytes_gives_the_same_events(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    reads = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert decoded(*reads) == decoded(data)


def test_an_event_is_not_delayed() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("", b"a")]
    assert decoder.feed(b"\ndata: b\r\r") == [Event("", b"b")]


def reads_until_error(data: bytes, step: int) -> list[Event]:
    decoder = Decoder(max_event_bytes=10)
    events: list[Event] = []
    with pytest.raises(ProtocolError, match="larger than 10 bytes"):  # noqa: PT012 - where it is raised may vary
        for start in range(0, len(data), step):
            events += decoder.feed(data[start : start + step])
        events += decoder.close()
    with pytest.raises(ProtocolError):
        decoder.feed(b"data: c\n\n")
    return events


@pytest.mark.parametrize(
    "data",
    [
        b"data: a\n\ndata: 12345\n\ndata: b\n\n",
        b"data: a\n\ndata: 12345",
        b"data: a\n\ndata: " + b"x" * 500,
        b"data: a\n\ndata: 1\ndata: 2\n",
    ],
)
def test_an_event_that_is_too_large_is_an_error_after_the_events_before_it(data: bytes) -> None:
    for step in range(1, len(data) + 1):
        assert reads_until_error(data, step) == [Event("", b"a")]


def test_an_event_of_just_the_limit_is_none() -> None:
    data = b"data: 1234\n\ndata: 1234\r\n\r\n"
    for step in range(1, len(data) + 1):
        decoder = Decoder(max_event_bytes=10)
        events = [event for i in range(0, len(data), step) for event in decoder.feed(data[i : i + step])]
        assert events + decoder.close() == [Event("", b"1234")] * 2
