"""An answer on its way through plugins: what comes out of them, while what they are given is still coming."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from ccr.plugins.errors import PluginError
from ccr.plugins.node.frames import FrameError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ccr.plugins.node.calls import Call
    from ccr.plugins.node.frames import Frame

PIECE_BYTES: Final = 1 << 20


class HookedResponse:
    """The answer after the plugins. ``close`` is always to be called; ``chunks`` does it itself.

    status, headers (lower-case names): as the last plugin gave them.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers

    async def next(self, timeout_s: float | None = None) -> bytes:
        """Return the next piece, ``b""`` at the end.

        Raises TimeoutError when none came (call again), PluginError, and what the upstream's chunks raised.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Stop: the plugins' streams are cancelled, the upstream's chunks are closed."""
        raise NotImplementedError

    async def chunks(self) -> AsyncIterator[bytes]:
        """Go through all pieces."""
        try:
            while data := await self.next():
                yield data
        finally:
            await self.close()


class UntouchedResponse(HookedResponse):
    """The upstream's answer where no plugin has a hook for it."""

    def __init__(self, status: int, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> None:
        super().__init__(status, headers)
        self._chunks = chunks
        self._pending: asyncio.Task[bytes | None] | None = None

    async def next(self, timeout_s: float | None = None) -> bytes:
        """Return the upstream's next piece; a time-out never cancels its iterator."""
        while True:
            if self._pending is None:
                self._pending = asyncio.create_task(self._piece())
            done, _ = await asyncio.wait((self._pending,), timeout=timeout_s)
            if not done:
                raise TimeoutError
            data = self._pending.result()
            self._pending = None
            if data is None:
                return b""
            if data:
                return data

    async def _piece(self) -> bytes | None:
        return await anext(self._chunks, None)

    async def close(self) -> None:
        """Close the upstream's chunks."""
        await _ended(self._pending)
        await close_chunks(self._chunks)


class ThroughPlugins(HookedResponse):
    """The answer of a call; from `begin` on a task of its own feeds the call with the upstream's pieces."""

    def __init__(self, call: Call, chunks: AsyncIterator[bytes]) -> None:
        super().__init__(200, {})
        self._call = call
        self._chunks = chunks
        self._is_closed = False
        self._is_ended = False
        self._upstream_error: Exception | None = None
        self._feeding: asyncio.Task[None] | None = None

    async def begin(self, head: Mapping[str, Any], context_body: bytes) -> None:
        """Send the head, begin to feed, and wait for the status and the headers the plugins give."""
        await self._call.send(head, context_body)
        self._feeding = asyncio.create_task(self._feed())
        answer = (await self._frame()).json()
        self.status = answer["status"]
        self.headers = headers_from_pairs(answer["headers"])

    async def next(self, timeout_s: float | None = None) -> bytes:
        """Return the next piece; see `HookedResponse.next`."""
        if self._is_ended:
            return b""
        async with asyncio.timeout(timeout_s):
            frame = await self._frame()
        if frame.kind == "D":
            return frame.data
        self._is_ended = True
        if self._upstream_error is not None:  # a cut stream is no success, whatever the plugin made of it
            raise self._upstream_error
        return b""

    async def close(self) -> None:
        """End the call, which cancels the plugins' streams, and close the upstream's chunks."""
        if self._is_closed:
            return
        self._is_closed = self._is_ended = True
        self._call.close()
        await _ended(self._feeding)
        await close_chunks(self._chunks)

    async def _frame(self) -> Frame:
        try:
            return await self._call.answer()
        except PluginError:
            if self._upstream_error is not None:
                raise self._upstream_error from None
            raise

    async def _feed(self) -> None:
        try:
            async for data in self._chunks:
                for start in range(0, len(data), PIECE_BYTES):
                    await self._call.stream("D", data[start : start + PIECE_BYTES])
            await self._call.stream("E")
        except FrameError:
            return  # whoever reads the answer learns of it
        except Exception as error:  # noqa: BLE001 - whatever the upstream's stream raises comes out of `next`
            self._upstream_error = error
            with contextlib.suppress(FrameError):
                await self._call.stream("X", b'{"message":"the upstream failed"}')


def headers_from_pairs(pairs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the headers as a mapping; values of the same name are joined."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def close_chunks(chunks: AsyncIterator[bytes]) -> None:
    """Close an iterator that can be closed."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


async def _ended(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait((task,))
