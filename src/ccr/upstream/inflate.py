"""Decompression of an answer that came compressed although ``identity`` was asked for, bounded.

A little data can inflate to a thousand times its size, so the ratio is checked while it is inflated, not
afterwards.
"""

from __future__ import annotations

import zlib
from typing import Final

from ccr.errors import UpstreamError

MAX_RATIO: Final = 200
"""Text of a model is compressed to a tenth; what inflates more than this is no answer."""
FREE_BYTES: Final = 1024 * 1024
"""Inflated size up to which the ratio does not matter."""
_STEP_BYTES: Final = 256 * 1024

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Inflater:
    """One answer's decompression. Raises UpstreamError (502) for an encoding it does not know."""

    def __init__(self, encoding: str, *, provider: str) -> None:
        self._provider = provider
        bits = _WINDOW_BITS.get(encoding)
        if bits is None:
            raise UpstreamError(
                502,
                f"{provider} compressed its answer as `{encoding[:40]}`, which was not asked for",
                should_retry=False,
            )
        self._inflate = zlib.decompressobj(bits)
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` inflates to. Raises UpstreamError (502) on bad data and on a bomb."""
        self._taken += len(data)
        pieces = []
        try:
            while data:
                piece = self._inflate.decompress(data, _STEP_BYTES)
                data = self._inflate.unconsumed_tail
                self._given += len(piece)
                taken = self._taken - len(data)
                if self._given > FREE_BYTES and self._given > taken * MAX_RATIO:
                    raise UpstreamError(502, f"{self._provider} sent an answer that inflates without end")
                pieces.append(piece)
        except zlib.error as error:
            raise UpstreamError(502, f"{self._provider} sent compressed data that cannot be read") from error
        return b"".join(pieces)
