"""What a source of renewable tokens is, and the errors all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ccr.errors import UpstreamError
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from ccr.config.model import Secret
    from ccr.upstream.auth.tokens import Token

SHOWN_CHARACTERS = 200


class TokenSource(Protocol):
    """Where tokens come from. Called once at a time."""

    def fetch(self, replacing: Secret | None) -> Coroutine[Any, Any, Token]:
        """Return a token, another one than ``replacing`` if it can. Raises UpstreamError with the remedy."""

    def describe(self) -> Mapping[str, str]:
        """Return method, host and source, and what else tells a person which identity it is; no secret."""


def sign_in_failed(sentence: str) -> UpstreamError:
    """Return the error that only a person can mend; the client shows it and does not repeat."""
    return UpstreamError(403, sentence, should_retry=False)


def sign_in_delayed(sentence: str, *, retry_after_s: int | None = None) -> UpstreamError:
    """Return the error of a token that may be had a little later; the client repeats."""
    return UpstreamError(503, sentence, retry_after_s=retry_after_s)


def excerpt(text: str) -> str:
    """Return the first line of a foreign text that says something, without secrets, of bounded length."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    shown = "".join(character if character.isprintable() else "?" for character in redacted(line))
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"
