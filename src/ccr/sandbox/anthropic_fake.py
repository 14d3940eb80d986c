"""A stand-in for the Anthropic API: the same scripts, for the published client without ccr in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ccr.sandbox.access import problem_of_direct_access
from ccr.sandbox.checks import decode_body
from ccr.sandbox.direct_checks import problem_of_direct_request
from ccr.sandbox.models import rules_of
from ccr.sandbox.refusals import Refused, anthropic_refusal, pass_if_none
from ccr.sandbox.tokens import prompt_tokens
from ccr.sandbox.view import view_of_messages
from ccr.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from ccr.sandbox.recorded import Recorded


class AnthropicFake(Workspace):
    """``POST /v1/messages``, ``POST /v1/messages/count_tokens`` and ``HEAD /``, for any key and any model.

    It takes what the published client sends directly, and refuses what the real API refuses of it.
    """

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of the API."""
        router.add_post("/v1/messages", self.recorded(self._messages))
        router.add_post("/v1/messages/count_tokens", self.recorded(self._count))
        router.add_route("*", "/{path:.*}", self.recorded(self._other))

    async def _messages(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        pass_if_none(problem_of_direct_access(record.headers))
        record.json = decode_body(record.raw)
        pass_if_none(problem_of_direct_request(record.json))
        view = view_of_messages(record.json)
        return await self.answer(request, record, view, rules_of(view.model))

    async def _count(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        pass_if_none(problem_of_direct_access(record.headers))
        record.json = decode_body(record.raw)
        pass_if_none(problem_of_direct_request(record.json, is_count=True))
        return web.json_response({"input_tokens": prompt_tokens(record.json)})

    async def _other(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        if record.method == "HEAD" and record.path.partition("?")[0] == "/":
            return web.Response()
        raise Refused(anthropic_refusal(404, "not_found_error", "Not found"))
