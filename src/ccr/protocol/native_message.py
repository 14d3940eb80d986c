"""A whole message of the native endpoint: its bytes, with the counts and the stop reason read from them.

    usage of message_start, then of message_delta: the last number of each field counts, null and 0 never
    replace a number (the client reads them the same way).

Also what streams and whole messages have in common: the key that Bedrock adds, the model's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ccr.errors import UpstreamError
from ccr.protocol.errors_from_upstream import error_in_answer, upstream_error
from ccr.protocol.native_json import OBJECT, JsonObject, encode, raw
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS_KEY: Final = "amazon-bedrock-invocationMetrics"
"""Added by Bedrock to the last event; no part of the Messages API (databricks.md §1)."""
METRICS_DROPPED: Final = "invocation_metrics_dropped"
"""Name of the rule that takes the key out."""
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises on bytes that are not the JSON that was expected."""


class MessageUsage(msgspec.Struct, gc=False):
    """``usage`` as the Messages API reports it; every count may be missing or null."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct, gc=False):
    """What is read of a message."""

    stop_reason: str | None = None
    usage: MessageUsage | None = None


_MESSAGE: Final = msgspec.json.Decoder(_Message)


class TappedMessage(NamedTuple):
    """A message for the client. stop_reason: None when the upstream gave none; nothing is invented."""

    body: bytes
    usage: Usage
    stop_reason: str | None
    rules: tuple[str, ...]


def tap_message(
    body: bytes, *, model: str, provider: str = "upstream", masked: Callable[[str], str] = str
) -> TappedMessage:
    """Return the body of a 200 for the client, which knows the model as ``model``.

    provider: whom to name in errors of the upstream. masked: takes keys that were sent out of these.
    Raises UpstreamError when the body is an error, a web page, or anything else that is no message.
    """
    try:
        message = OBJECT.decode(body)
        read = _MESSAGE.decode(body)
    except UNREADABLE as error:
        if body.lstrip()[:1] in (b"{", b"["):
            raise UpstreamError(502, f"{provider}, {model}: the answer is no message: {error}") from error
        raise upstream_error(200, body, {}, provider=provider, model=model, masked=masked) from error
    if "content" not in message:
        raise error_in_answer(body, provider=provider, model=model, masked=masked)
    edited = without_metrics(message)
    return TappedMessage(
        encode(with_model(edited, model)),
        usage_after(Usage(), read.usage or MessageUsage()),
        read.stop_reason,
        () if edited is message else (METRICS_DROPPED,),
    )


def without_metrics(value: JsonObject) -> JsonObject:
    """Return the object without Bedrock's key; the same object when it has none."""
    if METRICS_KEY not in value:
        return value
    return {key: item for key, item in value.items() if key != METRICS_KEY}


def with_model(message: JsonObject, model: str) -> JsonObject:
    """Return a message that names ``model``."""
    return {**message, "model": raw(model)}


def usage_after(earlier: Usage, counts: MessageUsage) -> Usage:
    """Return what is known after ``counts`` was reported too."""
    return Usage(
        input_tokens=counts.input_tokens or earlier.input_tokens,
        output_tokens=counts.output_tokens or earlier.output_tokens,
        cache_read_input_tokens=counts.cache_read_input_tokens or earlier.cache_read_input_tokens,
        cache_creation_input_tokens=counts.cache_creation_input_tokens or earlier.cache_creation_input_tokens,
    )
