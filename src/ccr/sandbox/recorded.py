"""What the workspace remembers of each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccr.sandbox.refusals import Refusal


@dataclass
class Recorded:
    """One request, and what became of it.

    headers have lower-case names. json is the parsed body (None when it is no JSON object). status is the one
    answered (None: not answered yet, or the connection was broken first). closed_early: the client went away
    before the end. refusal: the fault the checks found. at, ended_at: the loop's clock in seconds (ended_at
    None: running). is_turn: a turn of the script answered (or a fault played with it). is_reset: the script
    reset the connection. caller: who the request came from (None: nobody known was asked for).
    """

    method: str
    path: str
    headers: dict[str, str]
    at: float
    raw: bytes = b""
    json: dict[str, Any] | None = None
    status: int | None = None
    closed_early: bool = False
    refusal: Refusal | None = None
    ended_at: float | None = None
    is_turn: bool = False
    is_reset: bool = False
    caller: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The parsed body; an empty object when there was none."""
        return self.json or {}

    @property
    def is_stream(self) -> bool:
        """Whether a stream was asked for."""
        return self.body.get("stream") is True
