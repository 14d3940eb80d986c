"""Tokens of a service principal: OAuth client credentials, one request to the workspace itself.

``POST {host}/oidc/v1/token``, Basic id:secret, ``grant_type=client_credentials&scope=all-apis``. The
discovery documents that databricks-sdk reads first name this same address for a workspace, so they are not
asked.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import UpstreamError
from ccr.protocol.errors_from_upstream import retry_after_s
from ccr.upstream.auth.sources import excerpt, sign_in_delayed, sign_in_failed
from ccr.upstream.auth.tokens import moment_now, seconds_from, token_from_text
from ccr.upstream.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Secret
    from ccr.upstream.auth.http import FormAnswer, TokenHttp
    from ccr.upstream.auth.identity import OAuthM2M
    from ccr.upstream.auth.tokens import Moment, Token

PATH: Final = "/oidc/v1/token"
FORM: Final = {"grant_type": "client_credentials", "scope": "all-apis"}


class OAuthM2MSource:
    """The tokens of one service principal."""

    def __init__(
        self, identity: OAuthM2M, http: TokenHttp, *, clock: Callable[[], Moment] = moment_now
    ) -> None:
        self._identity = identity
        self._http = http
        self._clock = clock

    async def fetch(self, replacing: Secret | None) -> Token:
        """Return a new token; every request gets another one."""
        del replacing
        identity = self._identity
        asked_at_s = self._clock().wall_s
        answer = await self._http.post_form(
            identity.host + PATH, FORM, (identity.client_id, identity.client_secret)
        )
        if answer.status == HTTPStatus.OK:
            return self._token(answer, asked_at_s)
        raise self._refusal(answer)

    def describe(self) -> Mapping[str, str]:
        """Return which service principal it is."""
        identity = self._identity
        return {
            "method": "oauth-m2m",
            "host": identity.host,
            "client_id": identity.client_id,
            "source": identity.source,
        }

    def _token(self, answer: FormAnswer, asked_at_s: float) -> Token:
        values = _values(answer.body)
        lifetime_s = seconds_from(values.get("expires_in"))
        try:
            return token_from_text(
                values.get("access_token"), None if lifetime_s is None else asked_at_s + lifetime_s
            )
        except ValueError as error:
            said = f"Databricks sign-in: {self._host} answered with {error}, where a token was asked for"
            raise UpstreamError(502, f"{said}: wrong workspace URL?", should_retry=False) from None

    def _refusal(self, answer: FormAnswer) -> UpstreamError:
        status, values = answer.status, _values(answer.body)
        code = values.get("error")
        if code == "invalid_client" or (status == HTTPStatus.UNAUTHORIZED and not isinstance(code, str)):
            return sign_in_failed(
                f"Databricks sign-in: {self._host} does not know this client id and secret (invalid_client). "
                "The secret may have expired or belong to another workspace: make a new one for the "
                f"service principal {self._identity.client_id} and set it where it was found "
                f"({self._identity.source})."
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return sign_in_delayed(
                f"Databricks sign-in: {self._host} gives no token at the moment (HTTP {status})",
                retry_after_s=retry_after_s(answer.headers, now=time.time()),
            )
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST or not values:
            return UpstreamError(
                502,
                f"Databricks sign-in: {self._host} answered with HTTP {status} and no token: this is not a "
                "workspace's own URL. Set `host` on the provider (or DATABRICKS_HOST) to the one in the "
                "browser's address bar.",
                should_retry=False,
            )
        said = ": ".join(str(values[key]) for key in ("error", "error_description") if values.get(key))
        said = said or str(values.get("message", ""))
        return sign_in_failed(
            f"Databricks sign-in: {self._host} refused the service principal {self._identity.client_id} "
            f"(HTTP {status}, {excerpt(said)}). It must be enabled in this workspace."
        )

    @property
    def _host(self) -> str:
        return host_of(self._identity.host)


def _values(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
