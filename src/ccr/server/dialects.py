"""How an error is written: in Anthropic's shape or OpenAI's, as an answer or as a stream's last event.

The dialects ``openai`` (chat completions) and ``responses`` differ in that event alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from ccr.errors import ApiError

Dialect = Literal["anthropic", "openai", "responses"]

OPENAI_CODES: Final = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
"""OpenAI's ``code`` of a status; other statuses have none."""
OVERFLOW_CODE: Final = "context_length_exceeded"
"""OpenAI's word for what Anthropic words as ``prompt is too long``."""


def error_body(error: ApiError, dialect: Dialect, request_id: str) -> bytes:
    """Return the body of an error answer."""
    if dialect != "anthropic":
        return msgspec.json.encode({"error": _openai_error(error)})
    said: dict[str, object] = {"type": error.error_type, "message": _utf8(error.message)}
    if error.details is not None:
        said["details"] = error.details
    return msgspec.json.encode({"type": "error", "error": said, "request_id": request_id})


def error_headers(error: ApiError) -> dict[str, str]:
    """Return what an error tells the client about repeating its request."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def error_event(error: ApiError, dialect: Dialect, request_id: str) -> bytes:
    """Return the event that ends a stream which has begun and cannot go on; two for the Responses API."""
    if dialect == "responses":
        return _end_of_response(_openai_error(error), request_id)
    body = error_body(error, dialect, request_id)
    name = b"" if dialect == "openai" else b"event: error\n"
    return b"%bdata: %b\n\n" % (name, body)


def _end_of_response(said: dict[str, str | None], request_id: str) -> bytes:
    """Return the events of a response that failed although it may never have begun.

    OpenAI's clients raise the first one, Codex goes by the second one; what numbers went before is not known.
    """
    told = {"code": said["code"] or "server_error", "message": said["message"]}
    event = {"type": "error", **told, "param": said["param"], "error": said}
    response = {
        "id": f"resp_{request_id.removeprefix('req_')}",
        "object": "response",
        "status": "failed",
        "error": told,
        "output": [],
    }
    failed = {"type": "response.failed", "response": response}
    return b"event: error\ndata: %b\n\nevent: response.failed\ndata: %b\n\n" % (
        msgspec.json.encode(event),
        msgspec.json.encode(failed),
    )


def _openai_error(error: ApiError) -> dict[str, str | None]:
    code = OPENAI_CODES.get(error.status)
    if "prompt is too long" in error.message:
        code = OVERFLOW_CODE
    return {"message": _utf8(error.message), "type": error.error_type, "param": error.param, "code": code}


def _utf8(text: str) -> str:
    """Return the text without what has no UTF-8 (raw header bytes, half surrogate pairs)."""
    return text.encode("utf-8", "replace").decode()
