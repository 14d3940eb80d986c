"""One request and its answer on a connection of aiohttp's, without what its session does around them.

aiohttp makes the connections (pool, DNS, TLS, happy eyeballs) and parses the answers with its strict parser.
What its session adds for every request (cookies, redirects, middlewares, a task that writes, an answer object
with all conveniences) costs more than the rest of a request through ccr and is not used here: measured, it
is 60 to 80 µs of 120 to 160 µs.

A body is in memory as a whole and is handed to the transport at once, so that an answer which comes before
the body has been sent, a refusal for example, is read.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.connector import Connection

_FORBIDDEN: Final = re.compile(r"[\r\n\x00]")
_TRACES: list[aiohttp.tracing.Trace] = []


class Target:
    """A URL, prepared for many POSTs. session: whose connections are used. Raises ValueError on a bad URL."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        parsed = URL(url)
        connector = session.connector
        assert connector is not None  # noqa: S101 - for the type checker: the session is open
        self.connector = connector
        self.timeout = session.timeout
        self.request = ClientRequest(
            "POST", parsed, session=session, loop=asyncio.get_running_loop(), ssl=True
        )
        host = self.request.headers["Host"]
        ending = "Connection: close\r\n" if connector.force_close else ""
        self.start = f"POST {parsed.raw_path_qs} HTTP/1.1\r\nHost: {host}\r\n{ending}"


class Exchange:
    """An answer of which the headers are there. Read ``content`` to its end, or close it."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: Mapping[str, str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection: Connection | None = connection
        self.status = status
        self.headers = headers
        self.content = content
        content.on_eof(self._release)

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection.transport
        if transport is None or transport.get_write_buffer_size():
            connection.close()  # answered before the body was taken: the next request would come behind it
        else:
            connection.release()

    def close(self) -> None:
        """Close the connection, unless the answer was read to its end. May be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


async def post(target: Target, headers: Mapping[str, str], body: bytes, *, read_bytes: int) -> Exchange:
    """Send a request and return its answer once its headers are there.

    read_bytes: reading pauses when twice this waits for its reader. Raises aiohttp.ClientError, OSError and
    ValueError, as ``ClientSession.post`` does.
    """
    head = _head(target, headers, len(body))
    try:
        connection = await target.connector.connect(target.request, _TRACES, target.timeout)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError("no connection in time") from error
    try:
        return await _exchange(connection, head, body, read_bytes)
    except HttpProcessingError as error:
        connection.close()
        raise aiohttp.ClientResponseError(
            target.request.request_info, (), status=error.code, message=error.message
        ) from error
    except BaseException:
        connection.close()
        raise


def _head(target: Target, headers: Mapping[str, str], size: int) -> bytes:
    for name, value in headers.items():
        if _FORBIDDEN.search(value) or _FORBIDDEN.search(name):
            raise ValueError(f"the header {name!r} holds a control character")
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{target.start}{lines}Content-Length: {size}\r\n\r\n".encode()


async def _exchange(connection: Connection, head: bytes, body: bytes, read_bytes: int) -> Exchange:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=read_bytes)
    transport.writelines([head, body])
    while True:
        message, content = await protocol.read()
        if message.code >= 200 or message.code == 101:
            return Exchange(connection, message.code, message.headers, content)
