"""A request that is passed on: its bytes, and another model."""

from __future__ import annotations

import pytest

from ccr.errors import RequestError
from ccr.protocol.native_relay import relayed_request


@pytest.mark.parametrize(
    ("body", "expected", "stream"),
    [
        (b'{ "model": "m", "x": 1.0 }', b'{ "model": "m", "x": 1.0 }', False),
        (b'{"x":1.0,"model":"other","stream":true}', b'{"x":1.0,"model":"m","stream":true}', True),
        (b'{"model":"other","stream":false}', b'{"model":"m","stream":false}', False),
    ],
)
def test_relayed(body: bytes, expected: bytes, *, stream: bool) -> None:
    sent = relayed_request(body, model="m")
    assert (sent.body, sent.rules, sent.stream, sent.has_attachments) == (expected, (), stream, False)


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", b"\xff"])
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(RequestError):
        relayed_request(body, model="m")
