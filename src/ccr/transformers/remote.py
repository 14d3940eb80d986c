"""What the pipeline needs of steps that run outside this process: the seam for JavaScript plugins.

A remote step sees bytes. On the way out each is asked by itself; on the way back those of one host that
follow each other are one hop, through which the answer's bytes flow. This module knows no process, no
socket and no JavaScript: `ccr.plugins` implements it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ccr.transformers.base import Context


class HookedRequest(NamedTuple):
    """What a remote step makes of a request. url: None leaves it; headers: None takes a header away."""

    body: bytes
    url: str | None = None
    headers: Mapping[str, str | None] = {}


class HookedResponse(NamedTuple):
    """What remote steps make of an answer; ``chunks`` goes on while the answer comes in."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class RemoteHost(Protocol):
    """Runs remote steps."""

    async def response(
        self,
        steps: Sequence[RemoteStep],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        context: Context,
    ) -> HookedResponse:
        """Pass an answer through steps of this host, in the given order. Raises ApiError."""
        ...


class RemoteStep(Protocol):
    """One use of a transformer that runs elsewhere."""

    @property
    def name(self) -> str:
        """Its configured name."""
        ...

    @property
    def host(self) -> RemoteHost:
        """Where it runs."""
        ...

    @property
    def may_respond(self) -> bool:
        """Whether it looks at answers."""
        ...

    async def request(self, body: bytes, context: Context) -> HookedRequest:
        """Return the request to send instead of ``body``. Raises ApiError."""
        ...
