"""The body of a request, bounded in size and in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ccr.errors import RequestError

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
PROGRESS_BYTES: Final = 1024
PROGRESS_S: Final = 10.0
"""At least PROGRESS_BYTES must arrive in this time; who sends slower holds a connection for nothing."""

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from ccr.server.turns import Turns


async def body_of(request: web.BaseRequest, turns: Turns, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body of a request, when it is its turn.

    Raises RequestError: 413 before anything is read when the announced size is too large, or once it is;
    408 when it does not arrive; 400 when its chunks are malformed.
    """
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    content = request.content
    try:
        data: bytes = content.read_nowait()
        if not content.at_eof() and len(data) <= max_bytes:
            if "Expect" in request.headers:
                await _continue(request)
            pieces = await _pieces(content, data, max_bytes)
            await turns.take(sum(map(len, pieces)))
            data = b"".join(pieces)
        else:
            await turns.take(len(data))
    except TimeoutError as error:
        raise RequestError("the body of the request did not arrive in time", status=408) from error
    except web.RequestPayloadError as error:
        raise RequestError("the body of the request is malformed") from error
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its body (the guard has refused every other expectation)."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun


async def _pieces(content: StreamReader, start: bytes, max_bytes: int) -> list[bytes]:
    pieces = [start]
    size = len(start)
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(PROGRESS_S) as deadline:
        begun_at, begun_size = now(), size
        while data := await content.readany():
            pieces.append(data)
            size += len(data)
            if size > max_bytes:
                raise _too_large(max_bytes)
            # Seldom, because a body that comes at once needs no second deadline.
            if size - begun_size >= PROGRESS_BYTES and now() - begun_at > PROGRESS_S / 2:
                begun_at, begun_size = now(), size
                deadline.reschedule(begun_at + PROGRESS_S)
    return pieces


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(f"the request is larger than {max_bytes // 2**20} MiB", status=413)
