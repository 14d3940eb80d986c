"""Who may call the workspace, and with how much: bearer token, size, known endpoints. Pure."""

from __future__ import annotations

import hmac

from ccr.sandbox.refusals import Refusal, anthropic_refusal, coded

DEFAULT_TOKEN = "sandbox-token-not-a-secret"  # noqa: S105 - made up, and meant to be shown
MAX_BODY_BYTES = 4 * 1024 * 1024
PATH_FORM = (
    "Path must be of form /serving-endpoints/<endpoint_name>/invocations or "
    "/serving-endpoints/<endpoint_name>/served-models/<served_model_name>/invocations"
)


def problem_of_access(headers: dict[str, str], token: str) -> Refusal | None:
    """Return why these headers (names in lower case) give no access: no token, or another one."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not credential:
        return coded(
            401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
        )
    if not hmac.compare_digest(credential.encode(), token.encode()):
        return coded(403, "PERMISSION_DENIED", "Invalid access token.")
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


def unknown_path(path: str) -> Refusal:
    """Return the refusal of a path that is no API of the workspace."""
    if path.startswith("/serving-endpoints/anthropic/") and not path.endswith("/count_tokens"):
        return coded(400, "BAD_REQUEST", f"Unsupported native API path '{path}' for provider 'anthropic'")
    if path.startswith(("/serving-endpoints/", "/ai-gateway/")):
        return coded(404, "RESOURCE_DOES_NOT_EXIST", PATH_FORM)
    return coded(404, "ENDPOINT_NOT_FOUND", f"No API found for '{path}'")
