"""What the pipeline needs of steps that run outside this process: the seam for JavaScript plugins.

A remote step sees bytes. On the way out each is asked by itself; on the way back those of one host that
follow each other are one hop, through which the answer's bytes flow. This module knows no process, no
socket and no JavaScript: `ccr.plugins` implements it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ccr.config.model import Provider, Secret
    from ccr.transformers.base import Context


class Asked(NamedTuple):
    """What the client asked, for steps that look at it. body: JSON; headers: lower-case names.

    key: the token that the request would go out with, where the provider has no key of its own.
    is_at_end_point: it asked at the route of a transformer's own, which has the last word on the answer.
    """

    body: bytes
    headers: Mapping[str, str]
    path: str
    key: Secret | None = None
    is_at_end_point: bool = False


class HookedRequest(Protocol):
    """What a remote step makes of a request.

    url: None leaves it; headers: None takes a header away. timeout_s: how long the upstream may take to
    answer; None says nothing. rules: names of what the step asked for and cannot have.
    """

    @property
    def body(self) -> bytes:
        """The body to send."""
        ...

    @property
    def url(self) -> str | None:
        """Where to, None: where it went before."""
        ...

    @property
    def headers(self) -> Mapping[str, str | None]:
        """What to set, None to take away."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Seconds, or None."""
        ...

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of rules."""
        ...


class HookedResponse(Protocol):
    """What remote steps make of an answer, while it comes in. Always to be closed."""

    @property
    def status(self) -> int:
        """The status of the answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        ...

    async def next(self, timeout_s: float | None = None) -> bytes:
        """Return the next piece, b"" at the end. Raises TimeoutError (call again), ApiError."""
        ...

    async def close(self) -> None:
        """Stop, whatever is under way. May be called again."""
        ...


class RemoteHost(Protocol):
    """Runs remote steps."""

    async def response(
        self,
        steps: Sequence[RemoteStep],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        context: Context,
        asked: Asked,
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
    def may_request(self) -> bool:
        """Whether it looks at requests."""
        ...

    @property
    def may_respond(self) -> bool:
        """Whether it looks at answers."""
        ...

    async def request(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the request to send instead of ``body``. Raises ApiError."""
        ...

    async def authorize(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return a request as it is sent past all other hooks: with what ``auth`` adds. Raises ApiError."""
        ...


class RemoteEndPoint(Protocol):
    """A route of a transformer's own, in whose form clients ask and are answered."""

    @property
    def name(self) -> str:
        """The transformer's name."""
        ...

    async def request(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the client's request in the chat format. Raises ApiError."""
        ...

    async def response(
        self, headers: Mapping[str, str], chunks: AsyncIterator[bytes], context: Context, asked: Asked
    ) -> HookedResponse:
        """Return an answer in the chat format in the client's form. Raises ApiError."""
        ...

    def is_alone(self, provider: Provider, model: str) -> bool:
        """Tell whether a provider has nothing but this transformer: it speaks the same form itself."""
        ...
