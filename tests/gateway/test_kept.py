"""What is kept of a record."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ccr.errors import UpstreamError
from ccr.gateway.metrics import Metrics
from ccr.gateway.record import Recorder
from ccr.gateway.replies import Client
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from ccr.store.records import RequestRow


def recorder(rows: list[RequestRow] | None) -> Recorder:
    times = iter([100.0, 100.5, 103.0, 103.0, 103.0])
    return Recorder(
        Metrics(),
        logging.Logger("test", logging.CRITICAL),  # noqa: LOG001 - not shared between tests
        clock=lambda: next(times),
        masked=lambda text: text.replace("secret", "***"),
        keep=rows.append if rows is not None else None,
        wall_clock=lambda: 1_790_000_000.0,
    )


def test_the_row_of_an_answer() -> None:
    rows: list[RequestRow] = []
    made = recorder(rows)
    record = made.begin(Client("req_1", "session", "agent"), "messages", b"the prompt")
    record.model, record.provider, record.upstream_model, record.rule = "claude", "p", "m", "default"
    record.is_stream, record.stop_reason, record.is_fallback = True, "end_turn", True
    record.usage = Usage(1, 2, 3, 4)
    record.effort.retries = 2
    made.answered(record)
    made.end(record)
    made.end(record)
    (row,) = rows
    assert row.to_dict() == {
        "id": 0,
        "at": "2026-09-21T14:13:17.000+00:00",
        "request_id": "req_1",
        "session": "session",
        "agent": "agent",
        "project": None,
        "client_route": "messages",
        "model": "claude",
        "provider": "p",
        "upstream_model": "m",
        "rule": "default",
        "stream": True,
        "outcome": "ok",
        "status": 200,
        "error_type": None,
        "error": None,
        "stop_reason": "end_turn",
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        "first_byte_ms": 500.0,
        "ms": 3000.0,
        "retries": 2,
        "fallback": True,
    }


def test_the_row_of_a_failure_has_no_invented_figures() -> None:
    rows: list[RequestRow] = []
    made = recorder(rows)
    record = made.begin(Client("req_1"), "messages", b"")
    made.end(record, UpstreamError(429, "slow down, secret"))
    (row,) = rows
    assert (row.outcome, row.status, row.error_type, row.error) == (
        "error",
        429,
        "rate_limit_error",
        "slow down, ***",
    )
    assert {row.input_tokens, row.output_tokens, row.cache_read_input_tokens, row.first_byte_ms} == {None}
    assert (row.session, row.agent, row.stop_reason) == (None, None, None)


def test_the_row_of_a_client_that_left() -> None:
    rows: list[RequestRow] = []
    made = recorder(rows)
    made.end(made.begin(Client("req_1"), "/custom", b""), asyncio.CancelledError())
    assert (rows[0].outcome, rows[0].client_route) == ("cancelled", "/custom")


def test_nothing_is_kept_where_nobody_wants_it() -> None:
    made = recorder(None)
    record = made.begin(Client("req_1"), "messages", b"")
    made.end(record)
    assert record.is_ended
