"""For the tests of the native route: a body as a dict in, the sanitised one as read back from JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ccr.protocol.native_request import sanitized_request
from tests.protocol.chat_requests import BUDGET, Json, with_messages

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

ENDPOINT = "databricks-claude"


class Sanitized(NamedTuple):
    """A sanitised request, as the endpoint reads it."""

    body: Json
    rules: tuple[str, ...]
    stream: bool

    @property
    def messages(self) -> list[Json]:
        return list(self.body["messages"])


def sanitized(body: Json, traits: ModelTraits = BUDGET) -> Sanitized:
    return sanitized_bytes(json.dumps(body).encode(), traits)


def sanitized_bytes(data: bytes, traits: ModelTraits = BUDGET) -> Sanitized:
    result = sanitized_request(data, model=ENDPOINT, traits=traits)
    return Sanitized(json.loads(result.body), result.rules, result.stream)


def sanitized_messages(*messages: Json, traits: ModelTraits = BUDGET) -> tuple[list[Json], list[str]]:
    """Return the messages that are sent, and the rules."""
    result = sanitized(with_messages(*messages), traits)
    return result.messages, list(result.rules)
