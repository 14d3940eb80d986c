"""What the gateway takes from the server and gives back: values that know nothing of HTTP libraries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Secret

SECRET_HEADERS: Final = frozenset(
    {"authorization", "x-api-key", "proxy-authorization", "cookie", "x-forwarded-access-token"}
)
"""What no code of the person's is shown: it says who the client is to ccr, or its user to somebody else."""
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. request_id: of this request; session_id, agent: as the client names itself, for the log.

    betas, version: its ``anthropic-beta`` and ``anthropic-version`` headers. user_token: of its user, where a
    provider answers as that user. headers: all of them, names in any case, one name perhaps more than once.
    """

    request_id: str
    session_id: str | None = None
    agent: str | None = None
    betas: str | None = None
    version: str | None = None
    user_token: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def shown_headers(self) -> dict[str, str]:
        """Return its headers for code of the person's: lower-case names, no secrets, nothing but text."""
        shown: dict[str, str] = {}
        for given, value in self.headers.items():
            name = given.lower()
            if name not in SECRET_HEADERS:
                shown[name] = f"{shown[name]}, {value}" if name in shown else value
        known = {
            "user-agent": self.agent,
            "anthropic-beta": self.betas,
            "x-claude-code-session-id": self.session_id,
        }
        shown |= {name: value for name, value in known.items() if value is not None}
        return {name: value.encode("utf-8", "replace").decode() for name, value in shown.items()}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})


class StreamReply(Protocol):
    """An answer that is still being made; its status is 200.

    Whoever got it calls ``next`` until it returns b"", writing what it returns, and ``close`` in any case.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that say what the stream is."""
        ...

    async def next(self) -> bytes:
        """Return the bytes to write now, b"" at the end. Raises ApiError when the answer breaks off."""
        ...

    def close(self) -> None:
        """End it: close the upstream's connection if the answer is not complete, write the record."""
        ...
