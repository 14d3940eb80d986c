"""The status table of docs/errors.md: what an upstream's error, in any of its shapes, becomes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.protocol.error_bodies import error_in_event
from ccr.protocol.errors_from_upstream import (
    error_in_answer,
    retry_after_s,
    status_of_error,
    upstream_error,
)
from ccr.protocol.sse import Event

if TYPE_CHECKING:
    from ccr.errors import UpstreamError

NOW = 1_795_000_000.0


def mapped(
    status: int, body: object = b"", headers: dict[str, str] | None = None, **more: Any
) -> UpstreamError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"provider": "databricks", "model": "claude-x", "now": NOW, **more}
    return upstream_error(status, data, headers or {}, **given)


NESTED = {
    "error_code": "BAD_REQUEST",
    "message": json.dumps({"message": "messages: must not be empty"}) + "\n",
}
EXTERNAL = {
    "error": "Received error from amazon-bedrock",
    "external_model_message": {"message": "messages: must not be empty"},
}
LIMIT = {
    "error_code": "REQUEST_LIMIT_EXCEEDED",
    "message": "REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit for claude-x.",
}
ZERO = {
    "error_code": "PERMISSION_DENIED",
    "message": "The endpoint is temporarily disabled due to a Databricks-set rate limit of 0.",
}
MISSING = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "The endpoint claude-x does not exist"}
PAGE = b"<!DOCTYPE html>\n<html><head><title>Bad &amp; <b>gone</b></title></head><body>x</body></html>"

TABLE: dict[str, tuple[int, object, int, str, bool | None, str]] = {
    # name: upstream status, body -> status, type, should_retry, words of the message
    "400 nested": (
        400,
        NESTED,
        400,
        "invalid_request_error",
        None,
        "databricks, claude-x: messages: must not be empty",
    ),
    "400 external": (
        400,
        EXTERNAL,
        400,
        "invalid_request_error",
        None,
        "claude-x: messages: must not be empty",
    ),
    "400 OpenAI": (400, {"error": {"message": "no"}}, 400, "invalid_request_error", None, "claude-x: no"),
    "400 text": (400, b"MALFORMED_REQUEST: bad body", 400, "invalid_request_error", None, "bad body"),
    "400 FastAPI": (
        400,
        {"detail": [{"loc": ["body"], "msg": "field required"}]},
        400,
        "invalid_request_error",
        None,
        "field required",
    ),
    "400 Spring": (
        400,
        {"error": "Bad Request", "message": "no such field"},
        400,
        "invalid_request_error",
        None,
        "no such field",
    ),
    "400 unknown JSON": (400, {"foo": 1}, 400, "invalid_request_error", None, '{"foo": 1}'),
    "400 broken JSON": (400, b'{"message": ', 400, "invalid_request_error", None, '{"message":'),
    "400 credential": (400, {"message": "Invalid access token."}, 403, "permission_error", False, "api_key"),
    "400 missing model": (400, MISSING, 400, "invalid_request_error", False, "does not serve claude-x"),
    "401": (401, {"message": "Credential was not sent"}, 403, "permission_error", False, "api_key"),
    "401 empty": (401, b"", 403, "permission_error", False, "no message (HTTP 401)"),
    "403": (
        403,
        {"error_code": "PERMISSION_DENIED", "message": "No."},
        403,
        "permission_error",
        False,
        "may query",
    ),
    "401 page": (401, PAGE, 403, "permission_error", False, "and its api_base_url: is it the workspace's?"),
    "403 page": (403, PAGE, 403, "permission_error", False, "and its api_base_url: is it the workspace's?"),
    "403 token": (403, {"message": "Invalid Token"}, 403, "permission_error", False, "(`ccr doctor`)."),
    "403 rate limit of 0": (403, ZERO, 400, "permission_error", False, "choose another model"),
    "429 rate limit of 0": (429, ZERO, 400, "permission_error", False, "choose another model"),
    "404": (404, MISSING, 400, "invalid_request_error", False, "`ccr status`"),
    "404 page": (404, PAGE, 400, "invalid_request_error", False, "Bad & gone (HTTP 404, a web page)"),
    "405": (405, b"", 405, "invalid_request_error", None, "no message (HTTP 405)"),
    "408": (408, b"slow", 408, "timeout_error", None, "slow"),
    "409": (409, b"busy", 409, "invalid_request_error", None, "busy"),
    "413": (413, b"too big", 413, "request_too_large", None, "too big"),
    "422": (422, {"detail": "odd"}, 422, "invalid_request_error", None, "odd"),
    "429": (429, LIMIT, 429, "rate_limit_error", None, "input tokens per minute"),
    "500": (500, {"error_code": "INTERNAL_ERROR", "message": "boom"}, 500, "api_error", None, "boom"),
    "502 page": (502, PAGE, 502, "api_error", None, "Bad & gone (HTTP 502, a web page)"),
    "502 page without title": (
        502,
        b"<html><body>x",
        502,
        "api_error",
        None,
        "no message (HTTP 502, a web page)",
    ),
    "503": (
        503,
        {"error_code": "TEMPORARILY_UNAVAILABLE"},
        503,
        "overloaded_error",
        None,
        "TEMPORARILY_UNAVAILABLE",
    ),
    "504": (504, b"upstream request timeout", 504, "timeout_error", None, "upstream request timeout"),
    "529": (
        529,
        {"error": {"type": "overloaded_error", "message": "Overloaded"}},
        529,
        "overloaded_error",
        None,
        "Overloaded",
    ),
    "599": (599, b"", 599, "api_error", None, "HTTP 599"),
    "200 page": (200, PAGE, 502, "api_error", False, "a web page (Bad & gone)"),
    "200 page without title": (200, b"<html>", 502, "api_error", False, "with a web page, not"),
    "200 empty": (200, b" ", 502, "api_error", False, "with nothing"),
    "200 error": (200, LIMIT, 429, "rate_limit_error", None, "tokens per minute"),
    "200 text": (200, b"hello", 502, "api_error", None, "hello"),
}


@pytest.mark.parametrize(
    ("status", "body", "expected_status", "error_type", "should_retry", "words"),
    TABLE.values(),
    ids=TABLE.keys(),
)
def test_table(
    status: int, body: object, expected_status: int, error_type: str, should_retry: bool | None, words: str
) -> None:
    error = mapped(status, body)
    assert (error.status, error.error_type, error.should_retry) == (expected_status, error_type, should_retry)
    assert words in error.message
    assert "databricks" in error.message
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    "body", [b"", PAGE, b"\xff\xfe", b"[" * 5000, b'{"message": {"message": [[]]}}', b"[]"]
)
def test_no_answer_is_a_crash_or_a_success(body: bytes) -> None:
    for status in range(200, 600):
        error = mapped(status, body)
        assert 400 <= error.status < 600
        assert error.message


@pytest.mark.parametrize("body", [MISSING, ZERO])
@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((), "hoose another model"),
        (("a", "b"), "hoose another model (`a`, `b`)"),
        ([f"m{number}" for number in range(10)], "`m7` and 2 more)"),
    ],
)
def test_other_models_are_named_in_place_of_one_that_is_not_served(
    body: Any, others: Any, words: str
) -> None:
    error = mapped(404 if body is MISSING else 403, body, others=others)
    assert error.status == 400
    assert words in error.message


# -- redirects


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://login.example.test/oidc?token=dapi0123456789abcdef", "to login.example.test: wrong"),
        ("/login.html", "its own login page"),
        ("", "its own login page"),
        ("http://[::1", "an address that cannot be read"),
    ],
)
def test_redirects_are_not_followed_but_explained(location: str, words: str) -> None:
    error = mapped(303, b"", {"Location": location} if location else {"x": "y"})
    assert (error.status, error.should_retry) == (502, False)
    assert words in error.message
    assert "dapi0" not in error.message


# -- retry-after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2),
        (" 2.1 ", 3),
        ("0", 0),
        ("3600", 3600),
        ("1e9", 86_400),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Wed, 18 Nov 2026 11:06:41 GMT", 1),
        ("Wed, 18 Nov 2026 11:00:00 GMT", 0),
        ("Wed, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
@pytest.mark.fault("S71", outcome="read in every form, passed on when sensible")
def test_retry_after(value: str, seconds: int | None) -> None:
    assert retry_after_s({"X": "1", "Retry-After": value}, now=NOW) == seconds
    assert mapped(429, LIMIT, {"retry-after": value}).retry_after_s == seconds


def test_a_date_needs_a_clock() -> None:
    assert retry_after_s({"retry-after": "Wed, 18 Nov 2026 11:06:41 GMT"}, now=None) is None


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: {"error": inner}])
def test_retry_after_of_the_body(wrap: Any) -> None:
    body = wrap({"message": "slow down", "retry_after": 15})
    assert mapped(429, body).retry_after_s == 15
    assert mapped(429, body, {"retry-after": "7"}).retry_after_s == 7
    assert mapped(503, body).retry_after_s == 15
    assert mapped(500, body).retry_after_s is None
    assert mapped(429, {"message": "x", "retry_after": True}).retry_after_s is None


# -- errors in place of an answer


@pytest.mark.parametrize(
    ("body", "status", "error_type"),
    [
        ({"error": {"message": "m", "code": 429}}, 429, "rate_limit_error"),
        ({"error": {"message": "m", "type": "rate_limit_exceeded"}}, 429, "rate_limit_error"),
        ({"error": {"message": "m", "type": "x", "code": "overloaded_error"}}, 529, "overloaded_error"),
        ({"type": "error", "error": {"type": "api_error", "message": "m"}}, 500, "api_error"),
        ({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "m"}, 503, "overloaded_error"),
        ({"error_code": "BAD_REQUEST", "message": "m"}, 400, "invalid_request_error"),
        ({"error_code": "PERMISSION_DENIED", "message": "m"}, 403, "permission_error"),
        ({"object": "error", "message": "m", "code": 400}, 400, "invalid_request_error"),
        ({"error": {"message": "m", "code": 200}}, 502, "api_error"),
        ({"error": "m"}, 502, "api_error"),
        ({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}, 400, "invalid_request_error"),
    ],
)
@pytest.mark.fault("S74", outcome="an error with its text")
def test_error_in_answer(body: object, status: int, error_type: str) -> None:
    error = error_in_answer(json.dumps(body).encode(), provider="databricks", model="m")
    assert (error.status, error.error_type) == (status, error_type)


def test_a_text_with_a_code_names_its_status() -> None:
    data = b"RESOURCE_EXHAUSTED: slow down"
    assert error_in_answer(data, provider="databricks", model="m").status == 429


# -- what the message may hold


@pytest.mark.fault("S72", outcome="the same class of error in Anthropic's shape, cut and without secrets")
def test_messages_are_cut_and_hold_no_secret() -> None:
    secret = "dapi" + "0123456789abcdef" * 2
    error = mapped(400, {"message": f"Bearer {secret} {secret} " + "é" * 5000})
    assert secret not in error.message
    assert len(error.message.encode()) < 2200
    assert error.message.endswith("é")
    page = f"<html><title>{secret}</title></html>".encode()
    assert secret not in mapped(200, page).message


def test_messages_may_be_wrapped_only_so_deep() -> None:
    body: object = "innermost"
    for _ in range(20):
        body = {"message": body}
    assert "innermost" in mapped(400, body).message  # the whole body is shown instead


# -- overflow


SAID = [
    ("prompt is too long: 210000 tokens > 200000 maximum", "210000 tokens > 200000 maximum"),
    ('{"message":"Prompt is too long: 210000 tokens > 200000 maximum"}', "210000 tokens > 200000 maximum"),
    (
        "This model's maximum context length is 128000 tokens. Your messages resulted in 130,001 tokens",
        "130001 tokens > 128000 maximum",
    ),
    (
        "maximum context length is 8192 tokens, however you requested 9000 tokens. Please reduce your prompt",
        "9000 tokens > 8192 maximum",
    ),
    (
        "Token count exceeds the maximum context length of 100 tokens. You requested a total of 190 tokens",
        "190 tokens > 100 maximum",
    ),
    (
        "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
        "9000 tokens > 8192 maximum",
    ),
    (
        "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
        "9000 tokens > 8192 maximum",
    ),
    (
        "the request (9000 tokens) exceeds the available context size (8192 tokens)",
        "9000 tokens > 8192 maximum",
    ),
    ("This model's maximum context length is 128000 tokens. Shorten it.", "128001 tokens > 128000 maximum"),
]


@pytest.mark.parametrize(("message", "numbers"), SAID)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.fault("S73", outcome="400 in the words by which the client compacts")
def test_overflow_in_any_words_becomes_the_words_the_client_knows(
    status: int, message: str, numbers: str
) -> None:
    error = mapped(status, {"error_code": "BAD_REQUEST", "message": message})
    assert (error.status, error.message) == (400, f"prompt is too long: {numbers}")
    assert (error.error_type, error.should_retry) == ("invalid_request_error", None)


@pytest.mark.parametrize(
    ("limit", "estimate", "words"),
    [
        (None, None, "prompt is too long"),
        (None, 210_000, "prompt is too long"),
        (200_000, None, "prompt is too long: 200001 tokens > 200000 maximum"),
        (200_000, 150_000, "prompt is too long: 200001 tokens > 200000 maximum"),
        (200_000, 250_000, "prompt is too long: 250000 tokens > 200000 maximum"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"message": "Input is too long for requested model."},
        {"message": "prompt is too long"},
        {"message": "This exceeds the model's maximum context window"},
        {"message": "The prompt is too long for the context of this model"},
        {"error": {"message": "too much", "code": "context_length_exceeded"}},
    ],
)
def test_overflow_without_numbers(body: object, limit: int | None, estimate: int | None, words: str) -> None:
    assert mapped(400, body, context_tokens=limit, estimated_tokens=estimate).message == words


@pytest.mark.parametrize(
    "message",
    [
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length",
        "input length and max_tokens exceed context limit: 190000 + 32000 > 200000",
        "maximum context length is 200000 tokens (190000 in the messages, 32000 in the completion)",
        "maximum context length of 200000 tokens: 190000 from the input messages, 32000 for the completion",
    ],
)
def test_too_much_only_with_max_tokens_keeps_the_words_that_the_client_parses(message: str) -> None:
    error = mapped(400, {"message": message})
    assert error.message == "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
    too_long = message.replace("190000", "200001")
    assert mapped(400, {"message": too_long}).message == "prompt is too long: 200001 tokens > 200000 maximum"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "max_tokens (10000) cannot exceed 8192. Please reduce it"),
        (400, "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens"),
        (429, "Exceeded workspace input tokens per minute: prompt is too long"),
        (400, "messages.0.content: string too long"),
    ],
)
def test_other_limits_are_no_overflow(status: int, message: str) -> None:
    error = mapped(status, {"message": message})
    assert error.status == status
    assert message in error.message


@pytest.mark.parametrize("key", ["the key of somebody", "dapi0123456789abcdef"])
def test_keys_are_taken_out_before_the_message_is_cut(key: str) -> None:
    said = json.dumps({"message": f"{key} " * 500}).encode()

    def masked(text: str) -> str:
        return text.replace("the key of somebody", "***")

    for error in (
        mapped(500, said, masked=masked),
        error_in_answer(said, provider="databricks", model="claude-x", masked=masked),
    ):
        assert key[:7] not in error.message
        assert error.message.count("***") == 500


@pytest.mark.parametrize(
    ("name", "data", "is_one"),
    [
        ("error", "anything", True),
        ("", '{"type": "error", "error": null}', True),
        ("", '{"error": {"message": "busy"}}', True),
        ("", '{"error_code": "TEMPORARILY_UNAVAILABLE"}', True),
        ("", '{"message": "no such route"}', True),
        ("", '{"type": "message_start", "message": {"content": []}}', False),
        ("message_start", '{"type": "message_start", "message": {"error": "x"}}', False),
        ("", '{"error": null, "choices": []}', False),
        ("", '{"choices": [{"delta": {"content": "an error"}}]}', False),
        ("", '{"choices": [{"message": {"content": "an error"}}], "message": "a"}', False),
        ("", '{"candidates": [{"text": "hello"}]}', False),
        ("", '{"error', False),
        ("", '["error"]', False),
        ("", "[DONE]", False),
    ],
)
def test_an_error_in_place_of_an_event(name: str, data: str, is_one: bool) -> None:
    event = Event(name, data.encode())
    assert error_in_event(event) == (event.data if is_one else None)


@pytest.mark.parametrize(
    ("data", "status"),
    [(b'{"error": {"type": "overloaded_error"}}', 529), (b'{"error": {"code": 429}}', 429), (b"?", 502)],
)
def test_the_status_of_an_error(data: bytes, status: int) -> None:
    assert status_of_error(data) == status
