"""Who calls the workspace: its tokens, who they were given to, and until when they are good.

Three kinds: the personal access token, which never ends; OAuth access tokens, given out here, short-lived;
the tokens of a Databricks App's users, which somebody else has given out. No network in here; the time is
asked of ``clock``. Source of the wordings: reference notes databricks.md §4 and §6.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ccr.sandbox.access import UNKNOWN, bearer_of
from ccr.sandbox.refusals import Refusal, Refused, coded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERSON = "person@sandbox.invalid"
"""Whose the personal access token is."""
UNKNOWN_OAUTH = "Invalid Token"
EXPIRED = "Token is expired"
CODES = {400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}


@dataclass(frozen=True)
class Issued:
    """An access token that was given out. ends_at: seconds since 1970, by the workspace's clock."""

    name: str
    ends_at: float


class Identities:
    """The tokens that are taken, beside the personal access token.

    clients: id -> secret of service principals. logins: refresh token -> person. user_tokens: access token ->
    person (a Databricks App passes them on). lifetime_s: of the tokens given out. refusal_status: 403, or the
    401 or 400 that other front ends answer. refused_early_s: tokens with less than that left are refused.
    """

    def __init__(
        self,
        *,
        clients: Mapping[str, str],
        logins: Mapping[str, str],
        user_tokens: Mapping[str, str],
        lifetime_s: float,
        refusal_status: int,
        refused_early_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.clients = dict(clients)
        self.logins = dict(logins)
        self.user_tokens = dict(user_tokens)
        self.lifetime_s = lifetime_s
        self.refusal_status = refusal_status
        self.refused_early_s = refused_early_s
        self.clock = clock
        self._issued: dict[str, Issued] = {}
        self._key = secrets.token_bytes(32)

    def issue(self, name: str, issuer: str) -> str:
        """Return a new access token for this service principal or person, in the form of a JWT.

        ``exp`` is a whole second, never later than the moment from which the token is refused.
        """
        now = self.clock()
        ends_at = now + self.lifetime_s
        claims = {
            "iss": issuer,
            "sub": name,
            "aud": "sandbox",
            "scope": "all-apis",
            "iat": int(now),
            "exp": int(ends_at),
            "jti": secrets.token_hex(8),
        }
        signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT', 'kid': 'sandbox'})}.{_segment(claims)}"
        signature = hmac.digest(self._key, signed.encode(), hashlib.sha256)
        token = f"{signed}.{_base64url(signature)}"
        self._issued[token] = Issued(name, ends_at)
        return token

    def revoke(self) -> None:
        """Take back every access token given out so far."""
        self._issued.clear()

    def caller_of(self, headers: Mapping[str, str], personal_token: str) -> str:
        """Return who calls with these headers (names in lower case). Raises Refused."""
        credential = bearer_of(headers)
        if hmac.compare_digest(credential.encode(), personal_token.encode()):
            return PERSON
        if credential in self.user_tokens:
            return self.user_tokens[credential]
        issued = self._issued.get(credential)
        if issued is None:
            raise Refused(self._refusal(UNKNOWN_OAUTH if credential.count(".") == 2 else UNKNOWN))
        left_s = issued.ends_at - self.clock()
        if left_s <= 0:
            raise Refused(self._refusal(EXPIRED))
        if left_s <= self.refused_early_s:
            # databricks/databricks-vscode#583: some front ends look ahead
            early = f"Token is expiring within {self.refused_early_s:g} seconds. (token expired)"
            raise Refused(self._refusal(early))
        return issued.name

    def _refusal(self, sentence: str) -> Refusal:
        return coded(self.refusal_status, CODES[self.refusal_status], sentence)


def person_of(name: str) -> dict[str, Any]:
    """Return what ``/api/2.0/preview/scim/v2/Me`` says of this service principal or person."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])),
        "userName": name,
        "displayName": name.partition("@")[0],
        "active": True,
        "groups": [{"display": "users", "type": "direct"}],
    }


def _segment(values: dict[str, Any]) -> str:
    return _base64url(json.dumps(values, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
