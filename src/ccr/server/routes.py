"""The table of all routes: nothing else is served. A test holds a copy, so that none comes by accident.

The one exception are the routes of loaded plugins (``endPoint``), which stand beside the table: each is one
path of the person's own configuration, asked by POST and with the key (`END_POINT`). One path of the table
may be a plugin's, too (`REPLACEABLE`): users of the npm router have plugins for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ccr.server.guard import OF_PLUGINS, Endpoint

if TYPE_CHECKING:
    from collections.abc import Container

    from ccr.server.dialects import Dialect

Action = Literal[
    "messages",
    "count_tokens",
    "chat_completions",
    "responses",
    "models",
    "model",
    "status",
    "root",
    "health",
    "end_point",
]
MODEL_PATH: Final = "/v1/models/"


class Served(NamedTuple):
    """What is done on a path, and in whose words; None: in those of whoever asks."""

    action: Action
    endpoint: Endpoint
    dialect: Dialect | None = "anthropic"


_POST: Final = Endpoint(("POST",))

ROUTES: Final[dict[str, Served]] = {
    "/v1/messages": Served("messages", _POST),
    # A base URL that ends in /v1 makes the client ask for these.
    "/v1/v1/messages": Served("messages", _POST),
    "/v1/messages/count_tokens": Served("count_tokens", _POST),
    "/v1/v1/messages/count_tokens": Served("count_tokens", _POST),
    "/v1/chat/completions": Served("chat_completions", _POST, "openai"),
    "/v1/responses": Served("responses", _POST, "responses"),
    "/v1/models": Served("models", Endpoint(("GET",)), None),
    f"{MODEL_PATH}{{id}}": Served("model", Endpoint(("GET",)), None),
    "/status": Served("status", Endpoint(("GET",))),
    "/": Served("root", Endpoint(("GET", "HEAD"), is_open=True)),
    "/health": Served("health", Endpoint(("GET",), is_open=True)),
}

END_POINT: Final = Served("end_point", OF_PLUGINS, None)
"""What is done on every route of a plugin's own."""


REPLACEABLE: Final = frozenset({"/v1/responses"})
"""Paths of the table at which a loaded plugin that has them as its ``endPoint`` answers in place of ccr."""


def served_at(path: str, end_points: Container[str]) -> Served:
    """Return what is done on a path that is served. end_points: the routes of the plugins that are loaded."""
    served = ROUTES.get(path, END_POINT)
    if served.action == "responses" and path in end_points:
        return END_POINT
    return served


def is_built_in(path: str) -> bool:
    """Tell whether ccr itself answers at a path whatever is loaded, so that no plugin can have it."""
    return (path in ROUTES and path not in REPLACEABLE) or path.startswith(MODEL_PATH)
