"""What must hold for every relayed stream, however its bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol.native_stream import NativeTap
from tests.protocol.message_oracle import check_grammar, events_of
from tests.protocol.native_events import CONTENT, STOP, WHOLE, end, relay, sse, start

METRICS = sse("message_stop", **{"amazon-bedrock-invocationMetrics": {"x": 1}})
ERROR = sse("error", error={"type": "overloaded_error", "message": "Overloaded"})
ENDINGS = [STOP, METRICS, ERROR, b"", STOP + sse("ping"), b'data: {"error_code":"X","message":"m"}\n\n']
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted(place % (len(data) + 1) for place in places)
    return [data[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.sampled_from(ENDINGS), LINE_ENDS, st.lists(st.integers(0, 10**6), max_size=12), st.booleans())
def test_any_cut_gives_the_same_bytes_and_counts(
    ending: bytes, line_end: bytes, places: list[int], has_comment: bool
) -> None:
    comment = b": keep-alive\n\n" if has_comment else b""
    data = (start() + comment + CONTENT + end() + ending + comment).replace(b"\n", line_end)
    at_once, whole = relay(data)
    pieces, tap = relay(*cut(data, places))
    assert pieces == at_once
    assert (tap.usage, tap.stop_reason, tap.rules) == (whole.usage, whole.stop_reason, whole.rules)
    assert str(tap.error) == str(whole.error)
    assert tap.event_count == whole.event_count


@given(st.integers(0, len(WHOLE) - 1), st.lists(st.integers(0, 10**6), max_size=6))
def test_a_cut_stream_never_ends_as_success(length: int, places: list[int]) -> None:
    out, tap = relay(*cut(WHOLE[:length], places))
    events = events_of(out)
    assert events[-1]["type"] == "error"
    assert [event["type"] for event in events].count("message_stop") == 0
    assert tap.error is not None
    if len(events) > 1:
        kinds = [event for event in events if event["type"] != "message_delta"]
        assert check_grammar(kinds) == "error"


@given(
    st.lists(st.integers(0, 10**6), max_size=12),
    st.lists(st.sampled_from(["ping", "keep_alive"]), max_size=12),
)
def test_signs_of_life_fall_between_events(places: list[int], signs: list[str]) -> None:
    tap = NativeTap(model="asked")
    out = b""
    for read, sign in zip(cut(WHOLE, places), [*signs, *["ping"] * 13], strict=False):
        out += tap.feed(read) + (tap.ping() if sign == "ping" else tap.keep_alive())
    out += tap.close()
    ours = [event for event in events_of(out) if event["type"] != "ping" and not is_empty_delta(event)]
    theirs = [
        event for event in events_of(relay(WHOLE)[0]) if event["type"] != "ping" and not is_empty_delta(event)
    ]
    assert ours == theirs


def is_empty_delta(event: dict[str, object]) -> bool:
    delta = event.get("delta")
    return isinstance(delta, dict) and "" in delta.values()
