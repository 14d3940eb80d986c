"""Who may call the workspace, and with how much: bearer token, size, known endpoints. Pure."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ccr.sandbox.refusals import Refusal, Refused, anthropic_refusal, coded

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TOKEN = "sandbox-token-not-a-secret"  # noqa: S105 - made up, and meant to be shown
DEFAULT_CLIENT = ("sandbox-client", "sandbox-secret-not-a-secret")
"""The service principal of ``ccr sandbox``: id and secret, made up as well."""
NO_CREDENTIAL = "Credential was not sent or was of an unsupported type for this API."
UNKNOWN = "Invalid access token."
MAX_BODY_BYTES = 4 * 1024 * 1024
PATH_FORM = (
    "Path must be of form /serving-endpoints/<endpoint_name>/invocations or "
    "/serving-endpoints/<endpoint_name>/served-models/<served_model_name>/invocations"
)


def bearer_of(headers: Mapping[str, str]) -> str:
    """Return the bearer token in these headers (names in lower case). Raises Refused."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not credential:
        raise Refused(coded(401, "UNAUTHENTICATED", NO_CREDENTIAL))
    return credential


def problem_of_access(headers: Mapping[str, str], token: str) -> Refusal | None:
    """Return why these headers (names in lower case) are not those of the one who has this token."""
    try:
        credential = bearer_of(headers)
    except Refused as refused:
        return refused.refusal
    if not hmac.compare_digest(credential.encode(), token.encode()):
        return coded(403, "PERMISSION_DENIED", UNKNOWN)
    return None


def problem_of_direct_access(headers: dict[str, str]) -> Refusal | None:
    """Return why the stand-in for the Anthropic API gives no access: it takes any credential, but one."""
    if headers.get("x-api-key") or headers.get("authorization"):
        return None
    return anthropic_refusal(401, "authentication_error", "x-api-key header is required")


def problem_of_body(headers: dict[str, str], raw: bytes) -> Refusal | None:
    """Return why a body is refused before anyone reads it: its type or its size."""
    if len(raw) > MAX_BODY_BYTES:
        return coded(
            413, "REQUEST_TOO_LARGE", f"Request size {len(raw)} exceeds the limit of {MAX_BODY_BYTES} bytes."
        )
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return coded(400, "BAD_REQUEST", "Content-Type must be application/json.")
    return None


def unknown_endpoint(name: object) -> Refusal:
    """Return the refusal of an endpoint that does not exist."""
    return coded(404, "RESOURCE_DOES_NOT_EXIST", f"The given endpoint does not exist: {name!r}.")


def unknown_model_service(name: object) -> Refusal:
    """Return the gateway's refusal of a model whose name in Unity Catalog does not exist."""
    return coded(404, "NOT_FOUND", f"Model service {name!r} does not exist.")


def not_anthropic(name: object) -> Refusal:
    """Return the native routes' refusal of another vendor's model; the text is a guess."""
    return coded(400, "BAD_REQUEST", f"Model {name!r} does not take the Anthropic Messages API.")


def retired_endpoint(name: str, status: int) -> Refusal:
    """Return the refusal of an endpoint whose model was switched off; the text is a guess (404 or 400)."""
    code = "RESOURCE_DOES_NOT_EXIST" if status == 404 else "BAD_REQUEST"
    said = f"The endpoint {name} does not exist: its model has been retired. Use a newer model."
    return coded(status, code, said)


def rate_limit_of_zero() -> Refusal:
    """Return the refusal of a model that is listed but not offered here, by region, plan or entitlement."""
    said = "The endpoint is temporarily disabled due to a Databricks-set rate limit of 0."
    return coded(403, "PERMISSION_DENIED", said)


def unknown_path(path: str, *, has_native: bool = True, has_gateway: bool = True) -> Refusal:
    """Return the refusal of a path that is no API of the workspace.

    has_native: the workspace has the native route under /serving-endpoints. has_gateway: and an AI gateway.
    """
    if has_native and path.startswith("/serving-endpoints/anthropic/") and not path.endswith("/count_tokens"):
        return coded(400, "BAD_REQUEST", f"Unsupported native API path '{path}' for provider 'anthropic'")
    if path.startswith("/serving-endpoints/") or (has_gateway and path.startswith("/ai-gateway/")):
        return coded(404, "RESOURCE_DOES_NOT_EXIST", PATH_FORM)
    return coded(404, "ENDPOINT_NOT_FOUND", f"No API found for '{path}'")
