"""A Messages request for a provider that is the Messages API's own, or says it is: the client's bytes.

Only the model's name is another, since the client's stands for a route. What the provider does not take it
refuses in its own words. docs/native-route.md, "Pass-through".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.anthropic import refusal_of_body
from ccr.protocol.native_request import NativeConversion

_BODY: Final = msgspec.json.Decoder(dict[str, Raw])
_ENCODE: Final = msgspec.json.Encoder().encode


def relayed_request(body: bytes, *, model: str) -> NativeConversion:
    """Return the request as it came, for ``model``. Raises RequestError (400) when it is no JSON object."""
    try:
        values = _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error, "") from None
    if "model" not in values:
        raise RequestError("model: Field required")
    name = _ENCODE(model)
    is_stream = bytes(values.get("stream", Raw())) == b"true"
    if bytes(values["model"]) == name:
        return NativeConversion(body, (), is_stream, has_attachments=False)
    return NativeConversion(_ENCODE({**values, "model": Raw(name)}), (), is_stream, has_attachments=False)
