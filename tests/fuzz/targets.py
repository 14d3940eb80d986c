"""What is fuzzed: functions that take any bytes, and assert what must hold whatever the bytes are.

The first byte of an input chooses a variant (a model's traits, options of a stream, where it is cut); the
rest is what a client or an upstream sends. No other exceptions than the documented ones may come out, what
goes out is strict JSON, and streams obey the grammar of the Messages API.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import ApiError, ProtocolError, RequestError, UpstreamError
from ccr.protocol.anthropic import decode_count_request, decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.chat_from_responses import chat_from_responses
from ccr.protocol.errors_from_upstream import error_in_answer, upstream_error
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.native_message import tap_message
from ccr.protocol.native_request import sanitized_request
from ccr.protocol.native_stream import NativeTap
from ccr.protocol.openai import decode_chat_request, encode_chat_request
from ccr.protocol.response_stream import ResponseStream, response_from_completion
from ccr.protocol.responses_for_model import chat_for_model
from ccr.protocol.responses_request import decode_responses_request
from ccr.protocol.sse import Decoder, Event
from ccr.protocol.stream import MessageStream
from ccr.protocol.tokens import TokenEstimator, count_request_tokens
from tests.protocol.chat_requests import ALL_TRAITS
from tests.protocol.message_oracle import check_grammar, events_of
from tests.protocol.response_oracle import check_grammar as check_response
from tests.protocol.response_oracle import fed, new_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Target = Callable[[bytes], None]

MAX_EVENT_BYTES: Final = 4096
COMPLETION: Final = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
RESPONSES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"include": ["reasoning.encrypted_content"]},
    {"tools": [{"type": "custom", "name": "A"}, {"type": "function", "name": "B"}]},
)
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"thinking": True},
    {"json_tool": "answer"},
    {"tool_ids": frozenset({"used"})},
    {"thinking": True, "json_tool": "A", "tool_ids": frozenset({"a", "call_0"})},
)


def strict_json(data: bytes | str) -> Any:
    """Return the value of JSON that every reader takes: UTF-8, no NaN, no half surrogate pairs."""
    text = data if isinstance(data, str) else data.decode("utf-8")
    value = json.loads(text, parse_constant=_no_constant)
    for found in strings_in(value):
        found.encode("utf-8")  # a lone surrogate cannot be
    return value


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def strings_in(value: Any) -> list[str]:
    """Return all texts in a value, keys included."""
    found, open_values = [], [value]
    while open_values:
        each = open_values.pop()
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, dict):
            open_values += [*each, *each.values()]
        elif isinstance(each, list):
            open_values += each
    return found


def variant(data: bytes) -> tuple[int, bytes]:
    """Return what the first byte chooses, and the rest."""
    return (data[0], data[1:]) if data else (0, data)


def cut(data: bytes, seed: int) -> list[bytes]:
    """Return the bytes in pieces whose sizes depend on ``seed`` alone."""
    pieces, size, at = [], 1 + seed % 7, 0
    while at < len(data):
        pieces.append(data[at : at + size])
        at += size
        size = 1 + (size * 5 + seed) % 61
    return pieces


def check_error(error: ApiError) -> None:
    """What a client is told is a sentence that can be written, under a status of an error."""
    assert 400 <= error.status < 600, error.status
    assert str(error)
    error.message.encode("utf-8", "surrogatepass")


# -- server-sent events ----------------------------------------------------------------------------------


def sse_decoder(data: bytes) -> None:
    seed, data = variant(data)
    whole, pieces = decoded([data]), decoded(cut(data, seed))
    assert whole == pieces, "a cut changes the events"
    events, _ = whole
    assert all(event.data for event in events if event.event == "")
    assert all(b"\r" not in event.data and b"\n" not in event.event.encode() for event in events)


def decoded(reads: list[bytes]) -> tuple[list[Event], bool]:
    """Return the events, and whether one was too large."""
    decoder = Decoder(max_event_bytes=MAX_EVENT_BYTES)
    events: list[Event] = []
    try:
        for read in reads:
            events += decoder.feed(read)
        events += decoder.close()
        return events, False
    except ProtocolError:
        return events, True


# -- answers in streams ----------------------------------------------------------------------------------


def message_stream(data: bytes) -> None:
    seed, data = variant(data)
    options = OPTIONS[seed % len(OPTIONS)]
    whole, stream = streamed(MessageStream(message_id="msg_1", model="m", **options), [data])
    pieces, _ = streamed(MessageStream(message_id="msg_1", model="m", **options), cut(data, seed))
    assert whole == pieces, "a cut changes the answer"
    end = check_stream(whole)
    assert end == ("error" if stream.error is not None else "message_stop")
    assert stream.is_finished
    if end == "message_stop":
        assert stream.stop_reason


def streamed(
    stream: MessageStream | NativeTap, reads: list[bytes]
) -> tuple[bytes, MessageStream | NativeTap]:
    sent = stream.start() + b"".join(map(stream.feed, reads)) + stream.close()
    return sent, stream


def check_stream(sent: bytes) -> str:
    for line in sent.split(b"\n"):
        if line.startswith(b"data: "):
            strict_json(line.removeprefix(b"data: "))
    return check_grammar(events_of(sent))


def native_tap(data: bytes) -> None:
    """Events are relayed as they came, so their grammar is the upstream's; the end is ours.

    Empty lines between events may fall on either side of a cut.
    """
    seed, data = variant(data)
    whole, tap = streamed(NativeTap(model="m", provider="p"), [data])
    pieces, _ = streamed(NativeTap(model="m", provider="p"), cut(data, seed))
    assert Decoder().feed(whole) == Decoder().feed(pieces), "a cut changes the answer"
    if tap.error is None:
        assert b"event: message_stop\n" in whole, "nothing else is a good end"
    else:
        assert whole.endswith(b"\n\n")
        assert b"event: error\n" in whole, "a stream that broke says so"
        check_error(tap.error)


# -- whole answers ---------------------------------------------------------------------------------------


def chat_answer(data: bytes) -> None:
    seed, data = variant(data)
    options = {key: value for key, value in OPTIONS[seed % len(OPTIONS)].items() if key != "thinking"}
    try:
        message = message_from_chat(data, message_id="msg_1", model="m", provider="p", **options)
    except UpstreamError as error:
        check_error(error)
        return
    body = strict_json(message.encode())
    assert body["stop_reason"]
    assert all(
        block["type"] in {"text", "thinking", "redacted_thinking", "tool_use"} for block in body["content"]
    )
    assert all(isinstance(block["input"], dict) for block in body["content"] if block["type"] == "tool_use")


def native_answer(data: bytes) -> None:
    """The bytes of texts are relayed as they came, so a client may find bad UTF-8 that the upstream sent."""
    try:
        tapped = tap_message(data, model="m", provider="p")
    except UpstreamError as error:
        check_error(error)
        return
    json.loads(tapped.body.decode("utf-8", "replace"))


def refusal(data: bytes) -> None:
    seed, data = variant(data)
    status = 200 + 4 * seed % 400
    headers = {"retry-after": data[:20].decode("latin-1"), "location": data[:40].decode("latin-1")}
    check_error(upstream_error(status, data, headers, provider="p", model="m", now=1.0))
    check_error(error_in_answer(data, provider="p", model="m"))


# -- requests --------------------------------------------------------------------------------------------


def messages_request(data: bytes) -> None:
    seed, data = variant(data)
    try:
        request = decode_messages_request(data)
        conversion = chat_request_from_messages(
            request, model="endpoint", traits=ALL_TRAITS[seed % len(ALL_TRAITS)]
        )
        sent = encode_chat_request(conversion.chat)
    except RequestError as error:
        check_error(error)
        return
    body = strict_json(sent)
    assert body["model"] == "endpoint"
    assert body["messages"]
    assert count_request_tokens(request) >= 0
    assert TokenEstimator().estimate(request) >= 0
    assert encode_chat_request(decode_chat_request(sent)) == sent, "what is sent can be read again"


def native_request(data: bytes) -> None:
    seed, data = variant(data)
    traits = ALL_TRAITS[seed % len(ALL_TRAITS)]
    try:
        conversion = sanitized_request(data, model="endpoint", traits=traits)
    except RequestError as error:
        check_error(error)
        return
    body = json.loads(conversion.body, parse_constant=_no_constant)
    assert body["model"] == "endpoint"
    again = sanitized_request(conversion.body, model="endpoint", traits=traits)
    assert (json.loads(again.body), again.rules) == (body, ()), "once is enough"


def chat_request(data: bytes) -> None:
    try:
        sent = encode_chat_request(decode_chat_request(data))
    except RequestError as error:
        check_error(error)
        return
    json.loads(sent, parse_constant=_no_constant)


def responses_request(data: bytes) -> None:
    seed, data = variant(data)
    try:
        request = decode_responses_request(data)
        conversion = chat_from_responses(request)
        made, _ = chat_for_model(
            conversion.chat,
            is_summary_wanted=request.is_summary_wanted,
            traits=ALL_TRAITS[seed % len(ALL_TRAITS)],
        )
        sent = encode_chat_request(made)
    except RequestError as error:
        check_error(error)
        return
    json.loads(sent, parse_constant=_no_constant)
    stream = ResponseStream(request, conversion, response_id="resp_1", created_at=1)
    json.loads(response_from_completion(COMPLETION, stream))


def response_stream(data: bytes) -> None:
    seed, data = variant(data)
    whole = fed(new_stream(**RESPONSES[seed % len(RESPONSES)]), data)
    pieces = b"".join(response_pieces(RESPONSES[seed % len(RESPONSES)], cut(data, seed)))
    assert whole == pieces, "a cut changes the answer"
    for line in whole.split(b"\n"):
        if line.startswith(b"data: "):
            strict_json(line.removeprefix(b"data: "))
    check_response(whole)


def response_pieces(body: dict[str, Any], reads: list[bytes]) -> list[bytes]:
    stream = new_stream(**body)
    return [stream.start(), *map(stream.feed, reads), stream.close()]


def count_request(data: bytes) -> None:
    try:
        assert count_request_tokens(decode_count_request(data)) >= 0
    except RequestError as error:
        check_error(error)


TARGETS: Final[Mapping[str, Target]] = {
    each.__name__: each
    for each in (
        sse_decoder,
        message_stream,
        native_tap,
        chat_answer,
        native_answer,
        refusal,
        messages_request,
        native_request,
        chat_request,
        responses_request,
        response_stream,
        count_request,
    )
}
