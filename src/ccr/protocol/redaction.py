"""Takes what looks like a secret out of texts that were written by others.

Upstreams quote credentials in their errors; what the client shows ends up in transcripts and bug reports.
"""

from __future__ import annotations

import re
from typing import Final

_SECRET: Final = re.compile(
    r"""
    (?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}      # what follows an Authorization scheme
    | \bdapi[0-9a-f]{6,}(?:-\d+)?                                # Databricks personal access token
    | \bdose[0-9a-f]{20,}                                        # Databricks OAuth secret
    | \bdkea[0-9a-f]{20,}                                        # Databricks token of a service principal
    | \beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,2}            # JSON web token, also cut off
    | \bsk-[A-Za-z0-9_-]{12,}                                    # OpenAI, Anthropic and those who follow them
    | \bgh[pousr]_[A-Za-z0-9]{20,}                               # GitHub
    | \bAKIA[0-9A-Z]{12,}                                        # AWS
    # the parameter of a URL
    | (?P<query>[?&][\w.-]*(?:key|token|secret|passw(?:or)?d|signature|\bsig)=)(?!\$)[^&\#\s"'<>]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return the text with everything that looks like a token, key or web token replaced by ``***``."""
    return _SECRET.sub(lambda match: f"{match['scheme'] or match['query'] or ''}***", text)
