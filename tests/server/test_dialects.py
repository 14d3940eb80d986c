from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ccr.config.model import Secret
from ccr.daemon.health import proof_of as proof_the_commands_expect
from ccr.errors import ApiError, RequestError
from ccr.server.dialects import error_body, error_event, error_headers
from ccr.server.health import proof_of
from ccr.server.routes import ROUTES


def test_anthropic_errors_have_their_shape() -> None:
    error = ApiError(429, "slow down", retry_after_s=7)
    assert json.loads(error_body(error, "anthropic", "req_1")) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "slow down"},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("messages: Field required"), "invalid_request"),
        (RequestError("prompt is too long: 210000 tokens > 200000 maximum"), "context_length_exceeded"),
        (ApiError(429, "slow down"), "rate_limit_exceeded"),
        (ApiError(502, "broken"), None),
    ],
)
def test_openai_errors_have_their_shape(error: ApiError, code: str | None) -> None:
    assert json.loads(error_body(error, "openai", "req_1")) == {
        "error": {"message": error.message, "type": error.error_type, "param": None, "code": code}
    }


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (ApiError(500, "x"), {}),
        (ApiError(429, "x", retry_after_s=0), {"retry-after": "0"}),
        (ApiError(400, "x", should_retry=False), {"x-should-retry": "false"}),
        (
            ApiError(503, "x", retry_after_s=3, should_retry=True),
            {"retry-after": "3", "x-should-retry": "true"},
        ),
    ],
)
def test_headers_say_how_to_go_on(error: ApiError, headers: dict[str, str]) -> None:
    assert error_headers(error) == headers


def test_a_stream_ends_with_an_event() -> None:
    error = ApiError(500, "x")
    assert error_event(error, "anthropic", "req_1").startswith(b'event: error\ndata: {"type":"error"')
    assert error_event(error, "openai", "req_1").startswith(b'data: {"error"')
    assert error_event(error, "openai", "req_1").endswith(b"\n\n")


def test_a_stream_of_a_response_ends_with_an_event_that_its_clients_raise() -> None:
    ended = error_event(RequestError("input: no", param="input"), "responses", "req_1")
    assert ended.endswith(b"\n\n")
    told, failed = (block.partition("\ndata: ") for block in ended.decode().strip().split("\n\n"))
    assert (told[0], failed[0]) == ("event: error", "event: response.failed")
    assert json.loads(told[2]) == {
        "type": "error",
        "code": "invalid_request",
        "message": "input: no",
        "param": "input",
        "error": {
            "message": "input: no",
            "type": "invalid_request_error",
            "param": "input",
            "code": "invalid_request",
        },
    }
    response = json.loads(failed[2])["response"]
    assert (response["id"], response["status"]) == ("resp_1", "failed")
    assert response["error"] == {"code": "invalid_request", "message": "input: no"}
    assert b'"code":"server_error"' in error_event(ApiError(502, "x"), "responses", "req_1")
    body = error_body(ApiError(500, "x"), "responses", "req_1")
    assert body == error_body(ApiError(500, "x"), "openai", "req_1")


def test_half_a_surrogate_pair_in_a_message_can_be_written() -> None:
    assert "?" in json.loads(error_body(ApiError(400, "a\ud800b"), "anthropic", "r"))["error"]["message"]


def test_the_commands_and_the_service_agree_on_the_proof() -> None:
    key = Secret("k" * 32)
    assert proof_of(key, "abc", "inst") == proof_the_commands_expect(key, "abc", "inst")


@pytest.mark.fault("L125", outcome="exactly the documented routes")
def test_the_table_of_routes_is_frozen() -> None:
    assert {
        path: (served.action, *served.endpoint.methods, served.endpoint.is_open)
        for path, served in ROUTES.items()
    } == {
        "/v1/messages": ("messages", "POST", False),
        "/v1/v1/messages": ("messages", "POST", False),
        "/v1/messages/count_tokens": ("count_tokens", "POST", False),
        "/v1/v1/messages/count_tokens": ("count_tokens", "POST", False),
        "/v1/chat/completions": ("chat_completions", "POST", False),
        "/v1/responses": ("responses", "POST", False),
        "/v1/models": ("models", "GET", False),
        "/v1/models/{id}": ("model", "GET", False),
        "/status": ("status", "GET", False),
        "/": ("root", "GET", "HEAD", True),
        "/health": ("health", "GET", True),
    }


def test_the_page_shows_every_route_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    table = page.partition("## Routes")[2].partition("\n\nNothing else")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    shown = {path for cell in first for path in re.findall(r"(/[\w/{}]*)`", cell)}
    assert shown == set(ROUTES)
