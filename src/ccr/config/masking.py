"""Secrets taken out of lines for logs: by their value, and by what looks like one."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Secret

SHORTEST_SECRET: Final = 6
"""A shorter text is no secret, and would take harmless words out of every line."""


class Mask:
    """Replaces secrets by ``***``, as they are and as they stand in JSON, in a URL and in Base64."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        texts = {secret.reveal() for secret in secrets}
        forms = {form for text in texts for form in _forms(text)}
        self._forms = sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, line: str) -> str:
        """Return the line without secrets."""
        for form in self._forms:
            line = line.replace(form, "***")
        return redacted(line)


def _forms(text: str) -> tuple[str, ...]:
    data = text.encode("utf-8", "surrogateescape")
    whole = base64.b64encode(data).decode().rstrip("=")
    return text, json.dumps(text)[1:-1], quote(text, safe=""), whole
