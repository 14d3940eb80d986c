"""JSON that is taken apart only as far as it must be: one level at a time, everything below stays bytes.

A value that nobody looks into is a ``msgspec.Raw`` and goes out as it came in: numbers, key order, spacing
and Unicode escapes included. Knows nothing of the Messages API.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from ccr.protocol.anthropic import refusal_of_body

JsonObject = dict[str, Raw]
"""A JSON object whose values were not parsed."""

OBJECT: Final = msgspec.json.Decoder(JsonObject)
OBJECTS: Final = msgspec.json.Decoder(list[JsonObject])
STRING: Final = msgspec.json.Decoder(str)
OPTIONAL_STRING: Final = msgspec.json.Decoder(str | None)
encode: Final = msgspec.json.Encoder().encode

_T = TypeVar("_T")


def decoded(decoder: msgspec.json.Decoder[_T], data: bytes | Raw, *path: object) -> _T:
    """Return the value of ``data``. Raises RequestError (400) naming ``path``, the keys to it."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error, ".".join(map(str, path))) from None


def raw(value: object) -> Raw:
    """Return the JSON of a value."""
    return Raw(encode(value))


def first_byte(value: Raw) -> int:
    """Return the byte that tells the kind of a JSON value: a quote, a bracket, a brace, a digit …."""
    return memoryview(value)[0]
