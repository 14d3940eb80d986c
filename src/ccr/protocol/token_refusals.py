"""Whether a refusal is about the caller's token, by its words. Pure; the one table of them.

A 403 and a 400 also say that the identity may not query the model, that the model is not offered, or that the
request is wrong; no other token mends those. Who decides about another token (upstream/auth/refusals.py) and
what a person is told (errors_from_upstream.py) must agree.
Source: reference of Databricks errors; `Token is expiring within 30 seconds. (token expired)`
(databricks/databricks-vscode#583), `Invalid Token` as 403 and as 400 (databricks/unity-gateway#84).
"""

from __future__ import annotations

import re
from typing import Final

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


def is_about_token(message: str) -> bool:
    """Tell whether the sentence of a 400 or 403 says that the token itself is no good."""
    return _REFUSAL.search(message) is not None and _NEVER.search(message) is None
