"""The sandbox's workspace with the REST APIs that set-up reads, each of which a test may replace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ccr.sandbox import Workspace
from ccr.sandbox.access import problem_of_access
from ccr.sandbox.workspace import Handler, pass_if_none

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.sandbox import Recorded, Script

ME = "/api/2.0/preview/scim/v2/Me"
TOKENS = "/oidc/v1/token"
FOUNDATION_MODELS = "/api/2.0/serving-endpoints:foundation-models"
MODEL_SERVICES = "/api/2.1/unity-catalog/model-services"
LOGIN = "<!doctype html><html><head><title>Sign in</title></head></html>"
PERSON = {"userName": "ada@example.com", "id": "7"}


class Canned(web.Response):
    """An answer a test gives: JSON for an object, else text."""

    def __init__(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        super().__init__(text=text, status=status, headers=headers, content_type=kind)


class ApiWorkspace(Workspace):
    """answers: path -> what is answered instead, made anew for every request."""

    def __init__(self, script: Script | None = None, **options: Any) -> None:
        super().__init__(script, **options)
        self.answers: dict[str, tuple[Any, ...]] = {ME: (PERSON,)}

    def recorded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def canned_or_own(request: web.Request, record: Recorded) -> web.StreamResponse:
            if request.path not in self.answers:
                return await handler(request, record)
            canned = Canned(*self.answers[request.path])
            if canned.status == 200 and request.path != TOKENS:
                pass_if_none(problem_of_access(record.headers, self.token))
            return canned

        return super().recorded(canned_or_own)


def foundation_model(name: str, *api_types: str) -> dict[str, Any]:
    return {
        "name": name,
        "task": "llm/v1/chat",
        "config": {"served_entities": [{"foundation_model": {"api_types": list(api_types)}}]},
    }


def login_page(status: int = 200) -> tuple[Any, ...]:
    return (LOGIN, status, {"Location": "/login.html"} if status == 303 else None)
