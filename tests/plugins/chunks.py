"""An upstream's body as tests need it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.plugins.node import ClientRequest, HookedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


class Upstream:
    """Gives its pieces, then what ``end`` says; counts, and knows when it was closed."""

    def __init__(
        self, data: Iterable[bytes] = (), *, end: Exception | None = None, stays: bool = False
    ) -> None:
        self.given = 0
        self.began = asyncio.Event()
        self.closed = asyncio.Event()
        self._data = data
        self._end = end
        self._stays = stays

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for each in self._data:
                self.given += len(each)
                self.began.set()
                yield each
            if self._stays:
                await asyncio.Event().wait()
            if self._end is not None:
                raise self._end
        finally:
            self.closed.set()


async def everything(response: HookedResponse) -> bytes:
    return b"".join([data async for data in response.chunks()])


def asked(number: int = 1, body: bytes = b'{"model":"m"}') -> ClientRequest:
    return ClientRequest(id=f"req_{number}", body=body, headers={"user-agent": "test"}, session_id="s1")
