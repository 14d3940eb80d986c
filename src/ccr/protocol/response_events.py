"""A response of the Responses API and its events, as bytes.

    response.created response.in_progress
    (response.output_item.added … response.output_item.done)*
    response.completed | response.incomplete | response.failed error

Every event has its name in ``event:`` and in ``type``, one line of JSON, and a ``sequence_number`` that is
one more than the one before it. What the answer repeats of the request is encoded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from ccr.errors import ApiError
    from ccr.protocol.responses_request import ResponsesRequest
    from ccr.protocol.usage import Usage

encode: Final = msgspec.json.Encoder().encode

_REPEATED: Final[dict[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": None,
}
"""What a response says of its request, and what it says where that says nothing: OpenAI's defaults."""
_OURS: Final = {"background": False, "previous_response_id": None, "store": False, "truncation": "disabled"}
"""What holds whatever the request says: nothing is kept, nothing is cut."""
CODE_OF_STATUS: Final = {429: "rate_limit_exceeded", 400: "invalid_prompt", 413: "invalid_prompt"}
"""``error.code`` of a response that failed; others are ``server_error``."""
OVERFLOW: Final = "prompt is too long"
OVERFLOW_CODE: Final = "context_length_exceeded"


class Head:
    """What all states of one response have in common. created_at: Unix time in seconds."""

    def __init__(self, request: ResponsesRequest, response_id: str, created_at: int) -> None:
        given = {name: value for name, value in request.given.items() if bytes(value) != b"null"}
        said = {name: given.get(name, value) for name, value in _REPEATED.items()}
        text = given.get("text")
        if text is not None:
            said["text"] = {"format": {"type": "text"}, **msgspec.json.decode(text, type=dict[str, Raw])}
        self.id = response_id
        self._start = b'{"id":%b,"object":"response","created_at":%d,"model":%b,' % (
            encode(response_id),
            created_at,
            encode(request.model),
        )
        self._end = encode({**said, **_OURS})[1:]

    def response(
        self,
        status: str,
        output: list[bytes],
        *,
        usage: bytes = b"null",
        error: bytes = b"null",
        incomplete: bytes = b"null",
    ) -> bytes:
        """Return the response in a state. output: its finished items."""
        state = b'"status":%b,"error":%b,"incomplete_details":%b,"usage":%b,"output":[%b],' % (
            encode(status),
            error,
            incomplete,
            usage,
            b",".join(output),
        )
        return self._start + state + self._end


def usage_object(usage: Usage, reasoning_tokens: int) -> bytes:
    """Return token counts; ``input_tokens`` is the whole prompt, cached or not."""
    counts: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }
    return encode(counts)


def error_code(error: ApiError) -> str:
    """Return OpenAI's word for why a response failed."""
    if OVERFLOW in error.message:
        return OVERFLOW_CODE
    return CODE_OF_STATUS.get(error.status, "server_error")


def error_object(error: ApiError) -> bytes:
    """Return ``error`` of a response that failed."""
    return encode({"code": error_code(error), "message": error.message})


class Events:
    """Writes events, numbered without gaps; ``take`` hands out what was written."""

    def __init__(self) -> None:
        self._number = 0
        self._written: list[bytes] = []

    def take(self) -> bytes:
        """Return what was written since the last call."""
        if not self._written:
            return b""
        data = b"".join(self._written)
        self._written.clear()
        return data

    def write(self, name: bytes, rest: bytes) -> None:
        """Write an event. rest: its fields as JSON, without braces."""
        self._written.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, self._number, rest)
        )
        self._number += 1

    def response(self, name: bytes, response: bytes) -> None:
        """Write an event that holds the response itself."""
        self.write(name, b'"response":' + response)

    def error(self, error: ApiError) -> None:
        """Write the error that ends a stream, as documented, and with the object that clients raise by."""
        said: dict[str, Any] = {"code": error_code(error), "message": error.message, "param": error.param}
        whole = {**said, "error": {**said, "type": error.error_type}}
        self.write(b"error", encode(whole)[1:-1])
