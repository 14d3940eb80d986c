"""Counting with a vocabulary in this process: in a thread, and each text once.

A conversation is sent again and again with a little more, so what a text counted is remembered by its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

from ccr.protocol.token_texts import texts_from_body
from ccr.upstream.tokenizers.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.protocol.token_texts import TokenTexts

    Count = Callable[[str], int]

MAX_REMEMBERED: Final = 20_000
MAX_PIECE_CHARS: Final = 50_000
"""Longer texts are cut: it costs a token at most, and no regular expression gets lost in a huge one."""
MAX_AT_ONCE: Final = 2


class LocalTokenizer:
    """Counts the tokens of requests. load: makes what counts a text; raises TokenizerError."""

    def __init__(self, load: Callable[[], Awaitable[Count]]) -> None:
        self._load = load
        self._count: Count | None = None
        self._remembered: dict[bytes, int] = {}
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def prepare(self) -> None:
        """Get the vocabulary. Raises TokenizerError."""
        self._count = await self._load()

    async def count(self, body: bytes) -> int:
        """Return the tokens of a request, once it is prepared. Raises TokenizerError, RequestError."""
        texts = texts_from_body(body)
        async with self._turns:
            return await asyncio.to_thread(self._counted, texts)

    async def close(self) -> None:
        """Close nothing."""

    def _counted(self, texts: TokenTexts) -> int:
        return texts.media_tokens + sum(
            self._tokens(text[start : start + MAX_PIECE_CHARS])
            for text in texts.texts
            for start in range(0, len(text), MAX_PIECE_CHARS)
        )

    def _tokens(self, piece: str) -> int:
        key = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._remembered.get(key)
        if known is None:
            assert self._count is not None  # noqa: S101 - whoever counts has prepared it
            try:
                known = self._count(piece)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # a panic of the library is no Exception
                raise TokenizerError(f"the library does not count a text: {error}") from error
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = known
        return known
