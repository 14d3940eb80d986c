"""What a GET request says in its target and its headers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from ccr.errors import RequestError
from ccr.server.routes import MODEL_PATH

if TYPE_CHECKING:
    from collections.abc import Container

    from ccr.gateway.models import ModelsDialect

MAX_QUERY_FIELDS: Final = 20


def dialect_of(headers: Container[str]) -> ModelsDialect:
    """Return in whose words a client wants the answer, where both kinds of clients ask.

    Anthropic's send ``anthropic-version``, and those of either key header prefer ``x-api-key``; OpenAI's know
    neither.
    """
    return "anthropic" if "anthropic-version" in headers or "x-api-key" in headers else "openai"


def query_of(target: str) -> dict[str, str]:
    """Return the query of a raw target; of a repeated name the last. Raises RequestError (400)."""
    try:
        return dict(parse_qsl(target.partition("?")[2], max_num_fields=MAX_QUERY_FIELDS))
    except ValueError as error:
        raise RequestError("the query has too many fields") from error


def model_of(target: str) -> str:
    """Return the model that a raw target of ``/v1/models/{id}`` names."""
    return unquote(target.partition("?")[0].removeprefix(MODEL_PATH), errors="replace")
