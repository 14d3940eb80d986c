"""A streamed answer: bytes of the upstream, signs of life, failures and the end, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ccr.errors import ApiError, UpstreamError
from ccr.protocol.native_stream import NativeTap
from ccr.protocol.stream import MessageStream
from tests.protocol.message_oracle import check_grammar, events_of
from tests.protocol.native_events import WHOLE
from tests.protocol.test_stream_properties import EVENTS, OPTIONS

if TYPE_CHECKING:
    from tests.protocol.message_oracle import Json


class Answer(RuleBasedStateMachine):
    """What both kinds of streams have in common. sent: all that the client got."""

    stream: MessageStream | NativeTap
    pending: bytes = b""
    sent: bytes = b""
    end: str | None = None

    def send(self, data: bytes) -> None:
        if self.end is not None:
            assert data == b"", "nothing follows the end"
        self.sent += data
        if self.stream.is_finished and self.end is None:
            self.end = "error" if self.stream.error is not None else "message_stop"

    @rule(size=st.integers(0, 200))
    def read(self, size: int) -> None:
        """Feed some of what the upstream has sent, wherever that ends."""
        data, self.pending = self.pending[:size], self.pending[size:]
        if not self.stream.is_finished:
            self.send(self.stream.feed(data))

    @rule()
    def keep_alive(self) -> None:
        self.send(self.stream.keep_alive())

    @rule()
    def ping(self) -> None:
        self.send(self.stream.ping())

    @rule(status=st.sampled_from([429, 502, 504]))
    def fail(self, status: int) -> None:
        self.send(self.stream.fail(UpstreamError(status, "the stream broke")))

    @rule()
    def upstream_ends(self) -> None:
        self.send(self.stream.close())
        assert self.stream.is_finished

    @invariant()
    def whole_events_only(self) -> None:
        assert self.sent == b"" or self.sent.endswith(b"\n\n")

    def kinds(self) -> list[str]:
        return [str(event["type"]) for event in events_of(self.sent)]

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        self.send(self.stream.close())
        assert self.end is not None, "every stream ends"
        kinds = self.kinds()
        assert kinds[-1] == self.end
        assert ("message_stop" in kinds) is (self.end == "message_stop"), "a broken stream never looks whole"
        assert isinstance(self.stream.error, ApiError) is (self.end == "error")


class Chat(Answer):
    """An answer translated from chunks."""

    @initialize(options=OPTIONS)
    def begin(self, options: Json) -> None:
        self.stream = MessageStream(message_id="msg_1", model="m", **options)
        self.sent = self.stream.start()

    @rule(event=EVENTS)
    def upstream_sends(self, event: bytes) -> None:
        self.pending += event

    @invariant()
    def the_grammar_holds(self) -> None:
        if self.sent and self.end is not None:
            assert check_grammar(events_of(self.sent)) == self.end

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "stream") and self.end == "message_stop":
            assert self.stream.stop_reason


class Native(Answer):
    """An answer that is relayed."""

    parts: ClassVar = [part + b"\n\n" for part in WHOLE.split(b"\n\n") if part]

    @initialize()
    def begin(self) -> None:
        self.stream = NativeTap(model="m", provider="p")
        self.left = list(self.parts)

    @rule(count=st.integers(1, 4))
    def upstream_sends(self, count: int) -> None:
        self.pending += b"".join(self.left[:count])
        self.left = self.left[count:]

    @invariant()
    def nothing_is_lost_on_the_way(self) -> None:
        """What was relayed is the beginning of what was sent; signs of life stand between."""
        if hasattr(self, "left"):
            wanted = theirs(WHOLE)
            relayed = theirs(self.sent)
            assert relayed == wanted[: len(relayed)]


def theirs(data: bytes) -> list[str]:
    """Return the kinds of events that the upstream alone can have sent."""
    found = [event for event in events_of(data) if event["type"] not in {"ping", "error"}]
    return [str(event["type"]) for event in found if not is_sign_of_life(event)]


def is_sign_of_life(event: Json) -> bool:
    delta = event.get("delta")
    return isinstance(delta, dict) and "" in delta.values()


for machine in (Chat, Native):
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestChat, TestNative = Chat.TestCase, Native.TestCase
