"""Bytes that were found to be UTF-8 are not looked at again; the verdict is that of decoding all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.protocol import checked_text as module
from ccr.protocol.checked_text import CheckedText
from ccr.protocol.tool_memory import MAX_ENTRY_BYTES

PIECES = [b"a", b"word " * 3, "ä".encode(), "🙂".encode(), "漢字".encode()]
BROKEN = [b"\x80", b"\xc3", b"\xf0\x9f\x99", b"\xed\xa0\x80", b"\xff", b"\xc0\xaf"]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_taken(checks: CheckedText, data: bytes) -> bool:
    try:
        checks.check(data)
    except RequestError:
        return False
    return True


@given(
    st.lists(st.lists(st.sampled_from(PIECES + BROKEN), max_size=12).map(b"".join), min_size=1, max_size=8)
)
def test_the_verdict_is_that_of_decoding_all(bodies: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 3)  # so that small bodies have many pieces
        checks = CheckedText()
        for data in bodies:
            assert is_taken(checks, data) is is_text(data)


@given(st.text(max_size=40).map(str.encode), st.binary(max_size=6), st.integers(0, 160), st.integers(0, 160))
def test_a_change_anywhere_in_a_known_body_is_seen(body: bytes, new: bytes, at: int, cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 3)
        checks = CheckedText()
        checks.check(body)
        changed = body[:at] + new + body[at + cut :]
        assert is_taken(checks, changed) is is_text(changed)


def test_what_is_known_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(module, "checked_text", lambda piece: decoded.append(len(piece)))
    checks = CheckedText()
    start, end = "ä words ".encode() * 5000, "ö tools ".encode() * 5000
    checks.check(start + end)
    assert sum(decoded) == len(start + end)
    decoded.clear()
    checks.check(start + end)
    assert decoded == []
    checks.check(start + "new ü ".encode() + end)
    assert 0 < sum(decoded) < 20_000


def test_only_a_few_and_no_huge_bodies_are_remembered() -> None:
    checks = CheckedText(max_known=2)
    for letter in "abcdef":
        checks.check(f"{letter} ä".encode())
    assert len(checks._known) == 2
    checks.check("ä".encode() * MAX_ENTRY_BYTES)
    assert len(checks._known) == 2


def test_a_known_end_that_begins_inside_a_character() -> None:
    start, end = b"a" * 4096, "ä".encode() * 3000 + b"x"
    checks = CheckedText()
    checks.check(start + end)
    assert is_taken(checks, start + b"y" + end)
    assert not is_taken(checks, start + b"\xc3" + end)
