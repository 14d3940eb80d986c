"""The headers of a request: the key in the header it belongs in, what routes and transformers add or take."""

from __future__ import annotations

import pytest

from ccr.config.model import KeyHeader, Secret
from ccr.upstream.headers import USER_AGENT, request_headers, signs_itself

KEY = Secret("k")
PLAIN = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": USER_AGENT,
}


@pytest.mark.parametrize(
    ("extra", "key", "key_header", "expected"),
    [
        ({}, None, "authorization", PLAIN),
        ({}, KEY, "authorization", {**PLAIN, "Authorization": "Bearer k"}),
        ({}, KEY, "x-api-key", {**PLAIN, "x-api-key": "k"}),
        ({"X-Api-Key": "other"}, KEY, "x-api-key", {**PLAIN, "x-api-key": "k"}),
        ({"x-a": "1"}, None, "authorization", {**PLAIN, "x-a": "1"}),
        (
            {"user-agent": "mine", "ACCEPT": None},
            None,
            "authorization",
            {"Accept-Encoding": "identity", "Content-Type": "application/json", "user-agent": "mine"},
        ),
        ({"authorization": None, "x": None}, None, "authorization", PLAIN),
        ({"authorization": "Basic x"}, None, "authorization", {**PLAIN, "authorization": "Basic x"}),
        ({"Host": "h", "content-length": "1", "Accept-Encoding": "br"}, None, "authorization", PLAIN),
    ],
)
def test_headers(
    extra: dict[str, str | None], key: Secret | None, key_header: KeyHeader, expected: dict[str, str]
) -> None:
    assert request_headers(extra, key, stream=False, key_header=key_header) == expected


def test_a_stream_is_asked_for() -> None:
    assert request_headers({}, None, stream=True)["Accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(None, False), ({}, False), ({"x-api-key": "k"}, False), ({"Authorization": None}, True)],
)
def test_who_signs(headers: dict[str, str | None] | None, *, expected: bool) -> None:
    assert signs_itself(headers) is expected
