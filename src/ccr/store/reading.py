"""What a database must be able to answer; whoever makes reports and pages knows only this.

Times are aware datetimes; days are those of this machine's time zone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from ccr.store.records import Filters, RequestRow

By = Literal["day", "model", "provider", "session", "project", "rule", "agent"]
"""What requests are grouped by. model: the upstream's, which is what is paid for."""


class Sums(NamedTuple):
    """The figures of one group's requests to one model of one provider.

    key: of the group; None where a request has none. errors, cancelled: of ``requests``. without_usage:
    answered well, and the upstream reported no tokens. with_usage: tokens were reported. The four token
    figures: sums over those. stream_output_tokens, stream_ms: of streams that ended well, from the first byte
    to the end. first_byte_ms: sum over ``answered`` requests. last_ms: when the last one began.
    """

    key: str | None
    provider: str
    upstream_model: str
    requests: int
    errors: int
    cancelled: int
    without_usage: int
    with_usage: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    stream_output_tokens: int
    stream_ms: float
    first_byte_ms: float
    answered: int
    last_ms: int


class Reader(Protocol):
    """An open database, to be closed."""

    def sums(self, by: By, since: dt.datetime | None, until: dt.datetime | None) -> Sequence[Sums]:
        """Return the figures of all groups in a period: begun at ``since`` or later, before ``until``."""
        ...

    def requests(self, filters: Filters, limit: int, before: int | None) -> Sequence[RequestRow]:
        """Return the newest requests first, at most ``limit``, with an id below ``before`` where given."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close it."""
        ...
