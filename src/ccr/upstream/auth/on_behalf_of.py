"""The user's own token, which the front of a Databricks App puts into each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import RequestError
from ccr.upstream.auth.identity import ON_BEHALF_OF_USER
from ccr.upstream.auth.tokens import header_from_token, token_from_text

if TYPE_CHECKING:
    from ccr.config.model import Secret
    from ccr.upstream.auth.identity import OnBehalfOfUser

HEADER: Final = "x-forwarded-access-token"


class OnBehalfOfUserCredentials:
    """Passes on what the request brought; keeps nothing."""

    def __init__(self, identity: OnBehalfOfUser) -> None:
        self._identity = identity

    async def authorization(self, forwarded: str | None = None) -> Secret:
        """Return the Authorization header. Raises RequestError (403) when the request brought no token."""
        try:
            return header_from_token(token_from_text(forwarded).secret)
        except ValueError as error:
            raise RequestError(
                f"This provider answers as the signed-in user (auth_type {ON_BEHALF_OF_USER}), and the "
                f"request's {HEADER} held {error}. Reach ccr through its Databricks App, with user "
                "authorization (the scope for model serving) turned on, or choose another auth_type.",
                status=403,
            ) from None

    async def rejected(self, used: Secret) -> bool:
        """Return False: only the app's front can renew it."""
        del used
        return False

    def describe(self) -> dict[str, str]:
        """Return that it is the user of each request."""
        return {
            "method": ON_BEHALF_OF_USER,
            "host": self._identity.host or "",
            "source": HEADER,
            "expires_at": "unknown",
        }

    async def close(self) -> None:
        """Do nothing: it holds nothing."""
