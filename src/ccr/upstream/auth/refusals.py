"""Whether an answer refuses the token, so that another token may help. Pure.

401 always. 403 and 400 only by their words: the same statuses also say that the identity may not query the
model, that the model is not offered, or that the request is wrong, and no token mends those.
Source: reference of Databricks errors; `Token is expiring within 30 seconds. (token expired)`
(databricks/databricks-vscode#583), `Invalid Token` as 403 and as 400 (databricks/unity-gateway#84).
"""

from __future__ import annotations

import re
from typing import Final

from ccr.protocol.error_bodies import error_body

MAX_BODY_BYTES: Final = 16 * 1024
"""How much of a body is looked at; a refusal is one sentence."""

_REFUSAL: Final = re.compile(
    r"""
      credential\ was\ not\ sent
    | \bunsupported\ type\ for\ this\ api
    | \b(?:invalid|expired|revoked)\ (?:access\ |bearer\ |oauth\ |id\ |personal\ access\ )?token\b
          (?!\ (?:at|in|near|count|limit|id|ids|index|position|number|budget)\b)
    | \btoken\ (?:has\ |is\ |was\ )?(?:been\ )?(?:expired|revoked|invalid)\b
    | \btoken\ is\ expiring\b
    | \b(?:invalid|expired)\ (?:authentication\ )?credentials?\b
    | \bexpired(?:authentication)?token\b
    | \bexpired\ jwt\b | \bjwt\ (?:is\ |has\ )?expired\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NEVER: Final = re.compile(r"rate limit of 0|does not have permission|is not authorized to", re.IGNORECASE)
"""Words of a 403 that no other token mends, whatever else it says."""


def is_token_refusal(status: int, body: bytes) -> bool:
    """Tell whether this answer (status and the start of its body) says that the token itself is no good."""
    if status == 401:
        return True
    if status not in {400, 403}:
        return False
    said = error_body(body[:MAX_BODY_BYTES])
    return not said.is_page and _REFUSAL.search(said.message) is not None and not _NEVER.search(said.message)
