"""What is kept of a request's record for the figures of later: the row of the database. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.store.records import RequestRow

if TYPE_CHECKING:
    from ccr.gateway.record import Record

LONGEST: Final = 2000
"""Characters of a text that wait to be written; whoever writes them keeps fewer, when secrets are out."""


def row_of(record: Record, ended_at: float, now: float) -> RequestRow:
    """Return the row of a request that has ended. ended_at: monotonic seconds; now: the same, since 1970."""
    client, usage = record.client, record.usage
    seconds = ended_at - record.started_at
    first = record.answered_at
    return RequestRow(
        id=0,
        at_ms=round((now - seconds) * 1000),
        request_id=client.request_id,
        session=client.session_id[:LONGEST] if client.session_id else None,
        agent=client.agent,
        project=None,
        client_route=record.route,
        model=record.model[:LONGEST],
        provider=record.provider,
        upstream_model=record.upstream_model,
        rule=record.rule,
        stream=record.is_stream,
        outcome=record.outcome,
        status=record.status,
        error_type=record.error_type,
        error=record.error,
        stop_reason=record.stop_reason[:LONGEST] if record.stop_reason else None,
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        cache_read_input_tokens=usage.cache_read_input_tokens if usage is not None else None,
        cache_creation_input_tokens=usage.cache_creation_input_tokens if usage is not None else None,
        first_byte_ms=round((first - record.started_at) * 1000, 1) if first is not None else None,
        ms=round(seconds * 1000, 1),
        retries=record.effort.retries,
        fallback=record.is_fallback,
    )
