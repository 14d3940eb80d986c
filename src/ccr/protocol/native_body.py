"""The body of a request as the native route takes it apart: messages, system and tools one level deep.

One pass over the bytes; whatever lies deeper stays ``msgspec.Raw``. Keys that this program does not know are
told by their names only, because they are never sent.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.anthropic import ABSENT, refusal_of_body
from ccr.protocol.checked_text import CheckedText
from ccr.protocol.native_json import OBJECT, JsonObject


class NativeBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The body; an opaque field that the client did not send is `ABSENT`."""

    messages: list[JsonObject]
    model: Raw = ABSENT
    system: str | list[JsonObject] | None = None
    tools: list[JsonObject] | None = None
    tool_choice: Raw = ABSENT
    metadata: Raw = ABSENT
    max_tokens: Raw = ABSENT
    thinking: Raw = ABSENT
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    top_k: Raw = ABSENT
    stop_sequences: Raw = ABSENT
    output_config: Raw = ABSENT
    output_format: Raw = ABSENT
    stream: Raw = ABSENT
    context_management: Raw = ABSENT
    container: Raw = ABSENT
    mcp_servers: Raw = ABSENT
    service_tier: Raw = ABSENT
    cache_control: Raw = ABSENT
    safeguards: Raw = ABSENT
    thread: Raw = ABSENT

    def given(self, keys: tuple[str, ...]) -> JsonObject:
        """Return those of the opaque fields that the client gave a value; null is none."""
        return {key: value for key in keys if bytes(value := getattr(self, key)) not in _NO_VALUE}


class _ExtendedBody(NativeBody, gc=False, forbid_unknown_fields=False):
    """A body with keys that this program does not know."""


_NO_VALUE: Final = (b"", b"null")
DROPPED_FIELDS: Final = (
    "context_management",
    "container",
    "mcp_servers",
    "service_tier",
    "cache_control",
    "safeguards",
)
"""Known parameters that the endpoint does not take."""

_DECODER: Final = msgspec.json.Decoder(NativeBody)
_EXTENDED_DECODER: Final = msgspec.json.Decoder(_ExtendedBody)
_TEXT: Final = CheckedText()


def body_from_json(data: bytes) -> tuple[NativeBody, JsonObject]:
    """Return the body, and what it holds that is never sent, by key.

    Raises RequestError (400) on what is no Messages request: no JSON, invalid UTF-8, NaN, lone surrogates,
    nesting too deep, wrong types (with the key path), no messages.
    """
    try:
        unknown: JsonObject = {}
        try:
            body = _DECODER.decode(data)
        except msgspec.ValidationError as error:
            if "contains unknown field" not in str(error):
                raise
            body = _EXTENDED_DECODER.decode(data)
            unknown = {
                key: value
                for key, value in OBJECT.decode(data).items()
                if key not in NativeBody.__struct_fields__
            }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error) from None
    _TEXT.check(data)
    if not body.messages:
        raise RequestError("messages: at least one message is required")
    return body, body.given(DROPPED_FIELDS) | unknown
