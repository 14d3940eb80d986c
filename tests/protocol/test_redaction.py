from __future__ import annotations

import pytest

from ccr.protocol.redaction import redacted

HEX = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"token dapi{HEX}-2 is bad", "token *** is bad"),
        (f"'dapi{HEX}'", "'***'"),
        ("Authorization: Bearer abc.def-123==", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic ***"),
        (f"secret dose{HEX}", "secret ***"),
        (f"dkea{HEX}", "***"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl!", "got ***!"),
        ("cut eyJhbGciOiJSUzI1NiJ9.eyJzd", "cut ***"),
        ("sk-ant-api03-abcdefghijkl", "***"),
        ("ghp_" + "a" * 36, "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("https://h/x?api-version=1&api-key=abc&b=2", "https://h/x?api-version=1&api-key=***&b=2"),
        ('"https://h/x?key=abc"', '"https://h/x?key=***"'),
        ("https://h/x?sig=a%2Fb#c", "https://h/x?sig=***#c"),
        ("https://h/x?key=$MY_KEY&design=1&key=", "https://h/x?key=$MY_KEY&design=1&key="),
        ("Bearer token", "Bearer token"),
        ("the bearer of news, task-oriented, dapi, eyJ", "the bearer of news, task-oriented, dapi, eyJ"),
        (
            "Exceeded workspace input tokens per minute for claude-x",
            "Exceeded workspace input tokens per minute for claude-x",
        ),
    ],
)
def test_redacted(text: str, expected: str) -> None:
    assert redacted(text) == expected
