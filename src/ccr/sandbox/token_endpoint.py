"""What the workspace's OAuth server answers: its metadata, and tokens for credentials.

RFC 6749 with the two grants the Databricks tools use: ``client_credentials`` (service principals) and
``refresh_token`` (the login of the Databricks CLI). Source: reference notes databricks.md §6.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

from ccr.sandbox.refusals import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.sandbox.identities import Identities

OIDC = "/oidc"
TOKEN_PATH = f"{OIDC}/v1/token"
SCOPE = "all-apis"
CLI_CLIENT = "databricks-cli"
GRANTS = ("client_credentials", "refresh_token")


def databricks_config(url: str) -> dict[str, Any]:
    """Return ``/.well-known/databricks-config``, which databricks-sdk reads before anything else."""
    return {
        "oidc_endpoint": url + OIDC,
        "workspace_id": "1234567890123456",
        "account_id": "00000000-0000-0000-0000-000000000000",
        "cloud": "aws",
    }


def server_metadata(url: str) -> dict[str, Any]:
    """Return the OAuth server's metadata (RFC 8414)."""
    return {
        "issuer": url + OIDC,
        "authorization_endpoint": f"{url}{OIDC}/v1/authorize",
        "token_endpoint": url + TOKEN_PATH,
        "grant_types_supported": ["authorization_code", *GRANTS],
        "response_types_supported": ["code"],
        "scopes_supported": [SCOPE, "offline_access"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
    }


def token_answer(identities: Identities, url: str, headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    """Return the answer to a token request (header names in lower case). Raises Refused in OAuth's form."""
    form = _form(headers, raw)
    grant = form.get("grant_type")
    if grant not in GRANTS:
        _refuse("unsupported_grant_type", f"grant_type must be one of {', '.join(GRANTS)}")
    if grant == "refresh_token":
        return _refreshed(identities, url, form)
    client_id, secret = _client(headers, form)
    known = identities.clients.get(client_id)
    if known is None or not hmac.compare_digest(secret.encode(), known.encode()):
        _refuse("invalid_client", "Client authentication failed", status=401)
    if form.get("scope") != SCOPE:
        _refuse("invalid_scope", f"scope must be {SCOPE}")
    return _token(identities, url, client_id)


def _refreshed(identities: Identities, url: str, form: dict[str, str]) -> dict[str, Any]:
    if form.get("client_id") != CLI_CLIENT:
        _refuse("invalid_client", "Client authentication failed", status=401)
    login = form.get("refresh_token", "")
    if login not in identities.logins:
        _refuse("invalid_grant", "Refresh token is invalid")
    return _token(identities, url, identities.logins[login]) | {"refresh_token": login}


def _token(identities: Identities, url: str, name: str) -> dict[str, Any]:
    return {
        "access_token": identities.issue(name, url + OIDC),
        "token_type": "Bearer",
        "scope": SCOPE,
        "expires_in": int(identities.lifetime_s),
    }


def _form(headers: Mapping[str, str], raw: bytes) -> dict[str, str]:
    if headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        _refuse("invalid_request", "Content-Type must be application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw))
    except ValueError:
        _refuse("invalid_request", "The body is no form")
    form = dict(pairs)
    if len(form) != len(pairs):
        _refuse("invalid_request", "A parameter was given twice")
    return form


def _client(headers: Mapping[str, str], form: dict[str, str]) -> tuple[str, str]:
    """Return id and secret, from the header or the form; both at once are no request (RFC 6749, 2.3)."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    if "client_secret" in form:
        _refuse("invalid_request", "More than one way of client authentication")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        _refuse("invalid_request", "The Authorization header cannot be read")
    client_id, _, secret = text.partition(":")
    return client_id, secret


def _refuse(code: str, description: str, *, status: int = 400) -> NoReturn:
    body = {"error": code, "error_description": description}
    raise Refused(Refusal(status, body, f"{code}: {description}"))
