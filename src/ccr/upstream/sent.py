"""Keys and tokens that were sent to providers lately, and which these may repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.config.masking import Mask

if TYPE_CHECKING:
    from ccr.config.model import Secret

MAX_SECRETS: Final = 256
"""Of many users with tokens of their own, the last ones."""


class SentSecrets:
    """Takes what was sent out of texts about answers."""

    def __init__(self) -> None:
        self._secrets: dict[Secret, None] = {}
        self._mask = Mask()

    def note(self, secret: Secret) -> None:
        """Note that a request goes out with this key or token."""
        if secret in self._secrets:
            return
        if len(self._secrets) == MAX_SECRETS:
            del self._secrets[next(iter(self._secrets))]
        self._secrets[secret] = None
        self._mask = Mask(self._secrets)

    def masked(self, text: str) -> str:
        """Return the text without what was sent."""
        return self._mask.by_value(text)
