"""Every error ccr raises, in one tree.

    CcrError
    ├── ConfigError          the person's configuration is wrong; carries every Problem found
    ├── StoreError           the database of finished requests cannot be used; says why
    ├── StartError           the service or the client cannot be started; carries the exit code
    ├── ProtocolError        bytes of the upstream that no rule of the wire format allows
    └── ApiError             an answer to the client: status + Anthropic error type + one clear sentence
        ├── RequestError     the client erred (local); nothing was sent upstream
        ├── UpstreamError    the upstream erred, or could not be reached (remote)
        └── TransformerError a step between the two failed, most often one of the person's own

The tree is flat on purpose: callers decide by ``status`` and ``error_type``, not by class.
This module knows nothing of HTTP libraries, and never holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The Anthropic error type of a status, for errors that do not name their own."""


def error_type_of_status(status: int) -> str:
    """Return the Anthropic error type for an HTTP status (4xx and 5xx that are not listed: their class's)."""
    default = "invalid_request_error" if 400 <= status < 500 else "api_error"
    return TYPE_OF_STATUS.get(status, default)


class CcrError(Exception):
    """Base of all errors of ccr; ``str(error)`` is a sentence a person can act on."""


@dataclass(frozen=True)
class Problem:
    """One fault of the configuration: where it is, what was found, what is allowed; never a secret."""

    file: str
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: found {self.found}; allowed: {self.allowed}"


class ConfigError(CcrError):
    """The configuration cannot be used; ``problems`` names every fault at once.

    warnings: sentences on what is odd beside them; a misspelt key may explain a missing one.
    """

    def __init__(self, *problems: Problem, warnings: tuple[str, ...] = ()) -> None:
        self.problems = problems
        self.warnings = warnings
        super().__init__("\n".join(str(problem) for problem in problems))


class StartError(CcrError):
    """The service or the client cannot be started; ``exit_code`` is the command's."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class StoreError(CcrError):
    """The database of finished requests cannot be read or written.

    reason: ``missing``: nothing was kept yet. ``newer``: a newer ccr has made it. ``broken``: it is no
    database, or a damaged one. ``unusable``: the system refuses it (rights, space, a lock that stays).
    """

    def __init__(self, reason: Literal["missing", "newer", "broken", "unusable"], message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ProtocolError(CcrError):
    """The upstream sent what its wire format does not allow (bad JSON in an event, an event without end)."""


class ApiError(CcrError):
    """An error answer to the client.

    status: HTTP status, chosen for how the client retries (docs/errors.md).
    error_type: Anthropic's word for it; by default the one that belongs to the status.
    retry_after_s: seconds the client should wait, when the upstream said so.
    should_retry: sent as ``x-should-retry``; False on definitive errors, None when the client decides.
    details: for programs, in Anthropic's ``error.details``: what newer clients decide by.
    param: the parameter at fault, in OpenAI's ``error.param``.
    """

    details: dict[str, object] | None = None
    param: str | None = None

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str | None = None,
        retry_after_s: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.error_type = error_type or error_type_of_status(status)
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry
        super().__init__(message)

    def with_message(self, message: str) -> Self:
        """Return the same error with other words."""
        other = type(self).__new__(type(self), message)  # arguments of __init__ differ from class to class
        other.__dict__.update(self.__dict__, message=message)
        return other


class RequestError(ApiError):
    """The client's request cannot be served as it stands; repeating it unchanged is pointless."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        error_type: str | None = None,
        details: dict[str, object] | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(status, message, error_type=error_type, should_retry=False)
        self.details = details
        self.param = param


class UpstreamError(ApiError):
    """The upstream refused, failed or could not be reached.

    is_of_route: another route may well answer the same request (the upstream is down, full, or knows neither
    us nor the model). By default what the status says; False where the request itself is at fault.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str | None = None,
        retry_after_s: int | None = None,
        should_retry: bool | None = None,
        is_of_route: bool | None = None,
    ) -> None:
        super().__init__(
            status, message, error_type=error_type, retry_after_s=retry_after_s, should_retry=should_retry
        )
        default = status in {401, 403, 408, 429} or status >= 500
        self.is_of_route = default if is_of_route is None else is_of_route


class TransformerError(ApiError):
    """A transformer failed: nobody but its author can mend it, so that repeating the request is pointless."""

    def __init__(self, name: str, hook: str, reason: str) -> None:
        self.name = name
        self.hook = hook
        super().__init__(500, f"the transformer {name} failed in {hook}: {reason}", should_retry=False)
