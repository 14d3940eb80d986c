"""What a token is, and when it ends."""

from __future__ import annotations

import math
import time

import pytest

from ccr.config.model import Secret
from ccr.upstream.auth.expiry import expiry_text
from ccr.upstream.auth.tokens import (
    Token,
    expiry_of_web_token,
    header_from_token,
    moment_now,
    seconds_from,
    token_from_header,
    token_from_text,
)
from tests.upstream.auth.fakes import web_token


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        (web_token(exp=1_800_000_000), 1_800_000_000.0),
        (web_token(exp=1_800_000_000.5), 1_800_000_000.5),
        (web_token(sub="me"), None),
        (web_token(exp=True), None),
        (web_token(exp="soon"), None),
        (web_token(exp=float("1e999")), None),
        (web_token(exp=10**400), None),
        ("a.b", None),
        ("a.!!!.c", None),
        ("a.bm9qc29u.c", None),
        ("a.W10.c", None),
        ("dapi0123", None),
    ],
)
def test_a_web_token_names_its_own_end(text: str, expires_at: float | None) -> None:
    assert expiry_of_web_token(text) == expires_at


def test_a_given_end_goes_before_the_tokens_own() -> None:
    text = web_token(exp=1_800_000_000)
    assert token_from_text(text) == Token(Secret(text), 1_800_000_000.0)
    assert token_from_text(text, 5.0) == Token(Secret(text), 5.0)


@pytest.mark.parametrize("text", [None, "", 7, b"x", "a b", "a\r\nx: y", "tökén", "x" * 40_000])
def test_what_cannot_stand_in_a_header_is_no_token(text: object) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        token_from_text(text)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((3600, 3600.0), ("3600", 3600.0), (1.5, 1.5), (-1, -1.0), (True, None), (None, None), ("x", None)),
        *((math.nan, None), (math.inf, None), ("1e999", None), ([], None)),
    ],
)
def test_seconds_are_read_from_numbers_and_texts(value: object, seconds: float | None) -> None:
    assert seconds_from(value) == seconds


def test_a_header_and_back() -> None:
    header = header_from_token(Secret("abc"))
    assert header.reveal() == "Bearer abc"
    assert token_from_header(header) == Secret("abc")
    assert "abc" not in repr(Token(Secret("abc"), 1.0))


def test_the_present_has_both_clocks() -> None:
    before = time.time()
    first, second = moment_now(), moment_now()
    assert before <= first.wall_s <= time.time()
    assert second.steady_s >= first.steady_s


@pytest.mark.parametrize(
    ("expires_at", "text"),
    [
        (0.9, "1970-01-01T00:00:00Z"),
        (1_800_000_000.0, "2027-01-15T08:00:00Z"),
        (None, "unknown"),
        (1e300, "unknown"),
    ],
)
def test_an_end_as_a_person_reads_it(expires_at: float | None, text: str) -> None:
    assert expiry_text(expires_at) == text
