"""Counting in this process: each text once, in pieces, and whatever the library raises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest

from ccr.errors import RequestError
from ccr.upstream.tokenizers import local
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.tokenizers.local import MAX_PIECE_CHARS, LocalTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable


def body(*texts: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text} for text in texts]}).encode()


async def prepared(count: Callable[[str], int]) -> LocalTokenizer:
    async def load() -> Callable[[str], int]:
        return count

    tokenizer = LocalTokenizer(load)
    await tokenizer.prepare()
    return tokenizer


async def test_each_text_is_counted_once() -> None:
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return len(text)

    tokenizer = await prepared(count)
    assert await tokenizer.count(body("ab", "abc")) == 5
    assert await tokenizer.count(body("ab", "abc", "d", "ab")) == 8
    assert asked == ["ab", "abc", "d"]
    await tokenizer.close()


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_REMEMBERED", 2)
    tokenizer = await prepared(len)
    for number in range(7):
        assert await tokenizer.count(body(f"text {number}")) == 6
        assert len(tokenizer._remembered) <= 2


async def test_a_huge_text_is_counted_in_pieces() -> None:
    asked: list[int] = []

    def count(text: str) -> int:
        asked.append(len(text))
        return len(text)

    tokenizer = await prepared(count)
    text = "".join(map(str, range(MAX_PIECE_CHARS)))
    assert await tokenizer.count(body(text)) == len(text)
    assert len(asked) > 1
    assert max(asked) == MAX_PIECE_CHARS


class PanicError(BaseException):
    """As the libraries raise it."""


@pytest.mark.parametrize("error", [ValueError("odd"), PanicError("odd")])
async def test_whatever_the_library_raises(error: BaseException) -> None:
    def count(text: str) -> NoReturn:
        raise error

    tokenizer = await prepared(count)
    with pytest.raises(TokenizerError, match="does not count a text: odd"):
        await tokenizer.count(body("x"))


async def test_what_is_no_request() -> None:
    tokenizer = await prepared(len)
    with pytest.raises(RequestError):
        await tokenizer.count(b"[]")
