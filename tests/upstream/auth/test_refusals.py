"""Which answers refuse the token, and which refuse something else with the same status."""

from __future__ import annotations

import json

import pytest

from ccr.protocol.errors_from_upstream import upstream_error
from ccr.upstream.auth.refusals import is_token_refusal


def coded(code: str, message: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


REFUSED = [
    (401, b""),
    (401, coded("PERMISSION_DENIED", "anything")),
    (401, b"<html>Sign in</html>"),
    (403, coded("PERMISSION_DENIED", "Invalid access token.")),
    (403, b"Invalid Token"),
    (400, b"Invalid Token"),
    (400, coded("BAD_REQUEST", '{"message":"Invalid Token"}')),
    (403, coded("403", "Token is expiring within 30 seconds. (token expired)")),
    (403, b"Token is expiring within 30 seconds. (token expired)"),
    (
        403,
        coded("UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."),
    ),
    (400, coded("INVALID_PARAMETER_VALUE", "The access token has expired")),
    (403, json.dumps({"error": {"message": "Expired token", "code": "x"}}).encode()),
    (403, coded("ExpiredToken", "ExpiredAuthenticationToken")),
    (403, coded("X", "Invalid credentials")),
    (400, coded("X", "io.jsonwebtoken: JWT expired at 2026-11-22")),
    (403, coded("X", "token was revoked")),
]


@pytest.mark.parametrize(("status", "body"), REFUSED)
def test_the_token_is_refused(status: int, body: bytes) -> None:
    assert is_token_refusal(status, body)


@pytest.mark.parametrize(("status", "body"), REFUSED)
@pytest.mark.parametrize(
    ("signs_in", "remedy"), [(True, "identity (`ccr doctor`)"), (False, "api_key (`ccr doctor`)")]
)
def test_a_second_refusal_tells_the_person_what_to_check(
    status: int, body: bytes, signs_in: bool, remedy: str
) -> None:
    error = upstream_error(status, body, {}, provider="databricks", model="m", signs_in=signs_in)
    assert (error.status, error.error_type, error.should_retry) == (403, "permission_error", False)
    is_page = body.startswith(b"<html>")
    ending = " and its api_base_url: is it the workspace's?" if is_page else "."
    assert error.message.endswith(f"Check this provider's {remedy}{ending}")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"Invalid Token"),
        (404, b"Invalid Token"),
        (429, coded("REQUEST_LIMIT_EXCEEDED", "token expired")),
        (500, b"Invalid Token"),
        (403, b""),
        (
            403,
            coded(
                "PERMISSION_DENIED",
                "The endpoint is temporarily disabled due to a Databricks-set rate limit of 0.",
            ),
        ),
        (403, coded("PERMISSION_DENIED", "User does not have permission to query this endpoint")),
        (
            403,
            coded(
                "PERMISSION_DENIED", "Invalid access token scope: user does not have permission 'CAN_QUERY'"
            ),
        ),
        (403, b"<html><title>Invalid Token</title></html>"),
        (
            400,
            coded("BAD_REQUEST", "max_tokens (10000) cannot exceed 8192. Please reduce the number of tokens"),
        ),
        (400, coded("BAD_REQUEST", "prompt is too long: 210000 tokens > 200000 maximum")),
        (400, coded("BAD_REQUEST", "Invalid token at position 5 of the JSON body")),
        (400, coded("BAD_REQUEST", "Invalid token count")),
        (400, coded("BAD_REQUEST", "budget_tokens: invalid tokens")),
        (400, b" " * 20_000 + b"Invalid Token"),
    ],
)
@pytest.mark.fault("S70", outcome="told as it is, no renewal")
def test_something_else_is_refused(status: int, body: bytes) -> None:
    assert not is_token_refusal(status, body)
