"""A token, when it ends, and how it stands in a header. Pure, apart from `moment_now`."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any, Final

from ccr.config.model import Secret

_SCHEME: Final = "Bearer "
_NOT_IN_A_HEADER: Final = re.compile(r"[^\x21-\x7e]")
MAX_TOKEN_CHARACTERS: Final = 32 * 1024
_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Goes on while the machine sleeps, on Linux and on macOS; time.monotonic() stops there."""


@dataclass(frozen=True)
class Moment:
    """One instant on two clocks, in seconds.

    wall_s: since 1970; jumps when somebody sets it. steady_s: since anything; never jumps, and may stop while
    the machine sleeps.
    """

    wall_s: float
    steady_s: float


def moment_now() -> Moment:
    """Return the present, on a steady clock that goes on during sleep where the system has one."""
    return Moment(time.time(), time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK))


@dataclass(frozen=True)
class Token:
    """expires_at: seconds since 1970, None when it is not known."""

    secret: Secret
    expires_at: float | None = None


def token_from_text(text: object, expires_at: float | None = None) -> Token:
    """Return the token, with the end that it names itself when none is given.

    Raises ValueError (a phrase, never the text) on what cannot stand in a header.
    """
    if not isinstance(text, str) or not text:
        raise ValueError("no token")
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise ValueError("a token that is too long")
    if _NOT_IN_A_HEADER.search(text):
        raise ValueError("a token with spaces, line ends or non-ASCII characters")
    return Token(Secret(text), expires_at if expires_at is not None else expiry_of_web_token(text))


def expiry_of_web_token(text: str) -> float | None:
    """Return ``exp`` of a JSON web token, in seconds since 1970; None when there is none.

    It is a hint on when to renew; who may use the token is the workspace's business, so nothing is verified.
    """
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return seconds_from(claims.get("exp")) if isinstance(claims, dict) else None


def seconds_from(value: object) -> float | None:
    """Return a number of seconds, also when it is written as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def header_from_token(token: Secret) -> Secret:
    """Return the value of the Authorization header."""
    return Secret(_SCHEME + token.reveal())


def token_from_header(header: Secret) -> Secret:
    """Return the token in an Authorization header."""
    return Secret(header.reveal().removeprefix(_SCHEME))
