"""Whether an answer refuses the token, so that another token may help. Pure.

401 always; 403 and 400 only by their words (protocol/token_refusals.py).
"""

from __future__ import annotations

from typing import Final

from ccr.protocol.error_bodies import error_body
from ccr.protocol.token_refusals import is_about_token

MAX_BODY_BYTES: Final = 16 * 1024
"""How much of a body is looked at; a refusal is one sentence."""


def is_token_refusal(status: int, body: bytes) -> bool:
    """Tell whether this answer (status and the start of its body) says that the token itself is no good."""
    if status == 401:
        return True
    if status not in {400, 403}:
        return False
    said = error_body(body[:MAX_BODY_BYTES])
    return not said.is_page and is_about_token(said.message)
