"""How many connections may be open at once, and what one more is told.

Each request needs two file descriptors, one to its client and one to a provider; running out of them would
fail requests that are being answered, so the limit leaves some of them free.
"""

from __future__ import annotations

import resource
from typing import Final

from ccr.errors import ApiError
from ccr.server.dialects import error_body

MAX_CONNECTIONS: Final = 2048
MIN_CONNECTIONS: Final = 8
OWN_DESCRIPTORS: Final = 32
"""For files, logs, the loop and what else a process has open."""


def connection_limit(descriptors: int | None = None) -> int:
    """Return how many connections may be open. descriptors: of the process, None: its limit."""
    if descriptors is None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return MAX_CONNECTIONS
    return max(MIN_CONNECTIONS, min(MAX_CONNECTIONS, (descriptors - OWN_DESCRIPTORS) // 2))


def full_answer(request_id: str) -> bytes:
    """Return the whole answer to a connection that is one too many; its request is never read."""
    error = ApiError(
        503, "ccr has too many open connections; try again in a moment", error_type="overloaded_error"
    )
    body = error_body(error, "anthropic", request_id)
    lines = [
        "HTTP/1.1 503 Service Unavailable",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "retry-after: 1",
        "connection: close",
        f"request-id: {request_id}",
        f"x-request-id: {request_id}",
        "server: ccr",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
