"""What is kept of a request: ids, route, tokens and times. Never a body, a prompt or a secret.

Plain values; knows no database. The order of the fields is that of the columns (migrations.py).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple

MAX_TEXT: Final = 200
"""Characters that are kept of a text that others write: names, user agents, error messages."""


class RequestRow(NamedTuple):
    """One finished request.

    id: given by the database, 0 before. at_ms: when it began, milliseconds since 1970, UTC. session, agent:
    as the client names itself. project: the client's name for the folder of the session, None where it is
    not known. client_route: ``messages``, ``chat_completions``, ``image_agent``, or the path of a plugin's
    route. model: as asked. rule: why the route was chosen. outcome: ``ok``, ``error``, ``cancelled``. The
    four token figures are those of the upstream, None where it reported none. first_byte_ms: until its answer
    began.
    """

    id: int
    at_ms: int
    request_id: str
    session: str | None
    agent: str | None
    project: str | None
    client_route: str
    model: str
    provider: str
    upstream_model: str
    rule: str
    stream: bool
    outcome: str
    status: int
    error_type: str | None
    error: str | None
    stop_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    first_byte_ms: float | None
    ms: float
    retries: int
    fallback: bool

    @property
    def at(self) -> dt.datetime:
        """When it began, in UTC."""
        return dt.datetime.fromtimestamp(self.at_ms / 1000, dt.UTC)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``at`` as ISO time in UTC."""
        values = self._asdict()
        del values["at_ms"]
        return {"id": values.pop("id"), "at": self.at.isoformat(timespec="milliseconds"), **values}


class Filters(NamedTuple):
    """Which requests are meant; None: any. All that are given must hold.

    only_errors: those that failed (cancelled ones have not). session: the beginning of its id. model: a part
    of the asked model's name or the upstream's. provider: its whole name. text: a part of an error, a model's
    name or an id, in any case. since, until: began at or after, before; aware.
    """

    only_errors: bool = False
    session: str | None = None
    model: str | None = None
    provider: str | None = None
    text: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
