"""What an error of the upstream becomes for the client; docs/errors.md is this module's table in prose.

The status is chosen by what the client does with it (observed): it repeats 401, 408, 409, 429 and 5xx up to
ten times, hides the message of a 401 and of a 404, and shows that of 400 and 403. So what no repetition can
mend is a 400 or 403, with the cause and the remedy in the message, and ``should_retry`` False where ccr
itself chose the status.
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from ccr.errors import UpstreamError
from ccr.protocol.error_bodies import ErrorBody, error_body
from ccr.protocol.overflow import overflow_message
from ccr.protocol.redaction import redacted
from ccr.protocol.token_refusals import is_about_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_MESSAGE_BYTES: Final = 2048
MAX_RETRY_AFTER_S: Final = 86_400
MAX_NAMED: Final = 8

STATUS_OF_CODE: Final = {
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "RATE_LIMIT_EXCEEDED": 429,
    "RATE_LIMIT_ERROR": 429,
    "TOO_MANY_REQUESTS": 429,
    "INSUFFICIENT_QUOTA": 429,
    "TEMPORARILY_UNAVAILABLE": 503,
    "SERVICE_UNAVAILABLE": 503,
    "OVERLOADED_ERROR": 529,
    "DEADLINE_EXCEEDED": 504,
    "TIMEOUT_ERROR": 504,
    "INTERNAL_ERROR": 500,
    "INTERNAL_SERVER_ERROR": 500,
    "API_ERROR": 500,
    "SERVER_ERROR": 500,
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "MALFORMED_REQUEST": 400,
    "INVALID_REQUEST_ERROR": 400,
    "REQUEST_TOO_LARGE": 413,
    "UNAUTHENTICATED": 401,
    "AUTHENTICATION_ERROR": 401,
    "PERMISSION_DENIED": 403,
    "PERMISSION_ERROR": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "NOT_FOUND_ERROR": 404,
    "MODEL_NOT_FOUND": 404,
}
"""Status of an error that came without one (in a stream, in a 200 body), by the upstream's word for it."""

_MISSING_MODEL_CODES: Final = frozenset(code for code, status in STATUS_OF_CODE.items() if status == 404)
_WITH_RETRY_AFTER: Final = frozenset({429, 503, 529})


def upstream_error(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    *,
    provider: str,
    model: str,
    now: float | None = None,
    context_tokens: int | None = None,
    estimated_tokens: int | None = None,
    signs_in: bool = False,
    others: Sequence[str] = (),
    masked: Callable[[str], str] = str,
) -> UpstreamError:
    """Return the error the client gets for an upstream's answer that is not a success.

    status, body, headers: as received (a 2xx whose body is no model's answer is such an answer too).
    provider, model: named in the message. now: Unix time in seconds, for a ``retry-after`` that is a date.
    context_tokens, estimated_tokens: stand in for the numbers of an overflow that the upstream did not give.
    signs_in: the provider has no key of its own that could be checked, but an identity. others: names of
    models to ask for in place of one that is not served. masked: takes keys that were sent out of the
    message, before it is cut: nobody would recognise half a key behind that.
    """
    said = error_body(body)
    said = msgspec.structs.replace(said, message=redacted(masked(said.message)))
    if 300 <= status < 400:
        return _redirect(status, headers, provider)
    if status < 300:
        if said.is_page or not said.message:
            return _not_an_answer(said, provider)
        status = _status_in(said)
    overflow = None
    if status not in {401, 403, 429}:
        overflow = overflow_message(
            said.message, said.codes, context_tokens=context_tokens, estimated_tokens=estimated_tokens
        )
    if overflow is not None:
        return UpstreamError(400, overflow)
    definitive = _definitive(status, said, provider=provider, model=model, signs_in=signs_in, others=others)
    if definitive is not None:
        return definitive
    wait_s = None
    if status in _WITH_RETRY_AFTER:
        wait_s = retry_after_s(headers, now=now)
        if wait_s is None:
            wait_s = _whole_seconds(said.retry_after_s)
    return UpstreamError(status, f"{provider}, {model}: {_message(said, status)}", retry_after_s=wait_s)


def error_in_answer(
    data: bytes, *, provider: str, model: str, masked: Callable[[str], str] = str
) -> UpstreamError:
    """Return the error in place of an answer: in an event of a stream, or in the body of a 200."""
    return upstream_error(status_of_error(data), data, {}, provider=provider, model=model, masked=masked)


def status_of_error(data: bytes) -> int:
    """Return the status of an error that came without one: what it says itself, else 502."""
    return _status_in(error_body(data))


def retry_after_s(headers: Mapping[str, str], *, now: float | None) -> int | None:
    """Return the ``retry-after`` header in whole seconds; None when there is no sane one.

    Rounded up, at most a day. A date needs ``now`` (Unix time in seconds).
    """
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        return _whole_seconds(float(value))
    except ValueError:
        pass
    if now is None:
        return None
    try:
        return _whole_seconds(max(0.0, parsedate_to_datetime(value).timestamp() - now))
    except (ValueError, OverflowError):
        return None


def _whole_seconds(seconds: float | None) -> int | None:
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return min(math.ceil(seconds), MAX_RETRY_AFTER_S)


def _status_in(said: ErrorBody) -> int:
    if said.status is not None:
        return said.status
    return next((STATUS_OF_CODE[code.upper()] for code in said.codes if code.upper() in STATUS_OF_CODE), 502)


def _definitive(
    status: int, said: ErrorBody, *, provider: str, model: str, signs_in: bool, others: Sequence[str]
) -> UpstreamError | None:
    """Return the error when no repetition can mend it and the status must change; None for all others."""
    words = said.message.lower()
    if "rate limit of 0" in words:
        # Not 403: the client would show it as a failed login.
        return UpstreamError(
            400,
            _sentence(
                f"{provider} has not enabled {model} for this workspace: {_message(said, status)}",
                f"Waiting does not help; choose another model{_named(others)}.",
            ),
            error_type="permission_error",
            should_retry=False,
            is_of_route=True,
        )
    is_about_credential = is_about_token(said.message)
    if status in {401, 403} or (status == 400 and is_about_credential):
        checked = f"{'identity' if signs_in else 'api_key'} (`ccr doctor`)"
        remedy = f"Check this provider's {checked}"
        if said.is_page:  # of a login, or of what stands before a private workspace
            remedy += " and its api_base_url: is it the workspace's?"
        elif is_about_credential or status == 401:
            remedy += "."
        else:
            remedy += ", and that its owner may query the model."
        return UpstreamError(
            403,
            _sentence(f"{provider} refused access to {model}: {_message(said, status)}", remedy),
            should_retry=False,
        )
    codes = {code.upper() for code in said.codes}
    if status == 404 or (status == 400 and codes & _MISSING_MODEL_CODES):
        return UpstreamError(
            400,
            _sentence(
                f"{provider} does not serve {model}: {_message(said, status)}",
                f"Choose another model{_named(others)}, or correct the model's name or api_base_url "
                "(`ccr status` shows what is configured).",
            ),
            should_retry=False,
            is_of_route=True,
        )
    return None


def _named(others: Sequence[str]) -> str:
    """Return models to choose from, in brackets; "" when there are none."""
    shown = ", ".join(f"`{name}`" for name in others[:MAX_NAMED])
    more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
    return f" ({shown}{more})" if shown else ""


def _redirect(status: int, headers: Mapping[str, str], provider: str) -> UpstreamError:
    location = next((text for name, text in headers.items() if name.lower() == "location"), "")
    try:
        target = urlsplit(location).hostname or "its own login page"
    except ValueError:
        target = "an address that cannot be read"
    return UpstreamError(
        502,
        redacted(
            f"{provider} answered with a redirect ({status}) to {target}: wrong workspace URL? "
            "Correct api_base_url in config.json."
        ),
        should_retry=False,
    )


def _not_an_answer(said: ErrorBody, provider: str) -> UpstreamError:
    what = "with nothing"
    if said.is_page:
        what = f"with a web page ({_message(said)})" if said.message else "with a web page"
    return UpstreamError(
        502,
        _sentence(
            f"{provider} answered {what}, not with a model's answer: wrong workspace URL?",
            "Correct api_base_url in config.json.",
        ),
        should_retry=False,
    )


def _message(said: ErrorBody, status: int | None = None) -> str:
    message = said.message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
    if status is None or (message and not said.is_page):
        return message
    return f"{message or 'no message'} (HTTP {status}{', a web page' if said.is_page else ''})"


def _sentence(text: str, remedy: str) -> str:
    return f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} {remedy}"
