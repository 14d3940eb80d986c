from __future__ import annotations

import asyncio
import logging

import pytest

from ccr.errors import ApiError
from ccr.gateway.metrics import Metrics
from ccr.gateway.record import CLIENT_GONE, Recorder
from ccr.gateway.replies import Client
from ccr.protocol.usage import Usage


def recorder(level: int = logging.INFO) -> tuple[Recorder, Metrics, list[logging.LogRecord]]:
    entries: list[logging.LogRecord] = []
    log = logging.Logger("test", level)  # noqa: LOG001 - not shared between tests
    handler = logging.Handler()
    handler.emit = entries.append  # type: ignore[assignment, method-assign] # a list is handler enough
    log.addHandler(handler)
    times = iter(range(100))
    metrics = Metrics()
    return (
        Recorder(metrics, log, clock=lambda: float(next(times)), later=lambda call: call()),
        metrics,
        entries,
    )


def fields(entry: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = entry.__dict__["fields"]
    return found


def test_a_success_is_counted_and_logged_once() -> None:
    made, metrics, entries = recorder()
    record = made.begin(Client("req_1", "session", "agent"), "messages", b"12345")
    assert metrics.snapshot()["active"] == 1
    record.model, record.provider, record.upstream_model, record.rule = "claude", "p", "m", "default"
    record.rules = ("a", "b")
    record.usage = Usage(input_tokens=3, output_tokens=4, cache_read_input_tokens=5)
    made.answered(record)
    made.end(record)
    made.end(record, ApiError(500, "too late"))
    assert len(entries) == 1
    assert entries[0].levelno == logging.INFO
    assert fields(entries[0]) == {
        "request_id": "req_1",
        "session_id": "session",
        "agent": "agent",
        "route": "messages",
        "model": "claude",
        "provider": "p",
        "upstream_model": "m",
        "rule": "default",
        "stream": False,
        "outcome": "ok",
        "status": 200,
        "rules": ["a", "b"],
        "body_bytes": 5,
        "upstream_bytes": 0,
        "sent_bytes": 0,
        "events": 0,
        "ms": 2000.0,
        "first_byte_ms": 1000.0,
        "input_tokens": 3,
        "output_tokens": 4,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 0,
    }
    snapshot = metrics.snapshot()
    assert snapshot == {
        "active": 0,
        "requests": {"ok": 1},
        "statuses": {"200": 1},
        "retries": 0,
        "fallbacks": 0,
        "rules": {"a": 1, "b": 1},
        "routes": {
            "p,m": {
                "requests": 1,
                "ok": 1,
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 0,
            }
        },
    }


@pytest.mark.parametrize(
    ("error", "outcome", "status", "error_type", "level"),
    [
        (ApiError(429, "slow"), "error", 429, "rate_limit_error", logging.WARNING),
        (KeyError("a bug"), "error", 500, "api_error", logging.WARNING),
        (asyncio.CancelledError(), "cancelled", CLIENT_GONE, None, logging.INFO),
    ],
)
def test_an_end_without_an_answer_is_told_apart(
    error: BaseException, outcome: str, status: int, error_type: str | None, level: int
) -> None:
    made, metrics, entries = recorder()
    record = made.begin(Client("req_1"), "messages", b"")
    made.end(record, error)
    found = fields(entries[0])
    assert (found["outcome"], found["status"], found.get("error_type")) == (outcome, status, error_type)
    assert entries[0].levelno == level
    assert "a bug" not in str(found)
    assert metrics.snapshot()["requests"] == {outcome: 1}


def test_what_is_not_logged_is_counted_all_the_same() -> None:
    made, metrics, entries = recorder(logging.ERROR)
    made.end(made.begin(Client("req_1"), "messages", b""))
    assert not entries
    assert metrics.snapshot()["requests"] == {"ok": 1}
