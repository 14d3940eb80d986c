"""The workspace as a server on the loopback interface: routes, access, records.

    async with Workspace(script, models=…) as workspace:
        …  # POST workspace.url + "/serving-endpoints/databricks-claude-sonnet-4-5/invocations"
        workspace.requests[0].body

``WorkspaceThread`` (thread.py) is the same with an event loop of its own, for code that is not asynchronous;
``AnthropicFake`` (anthropic_fake.py) stands in for the Anthropic API. What is refused is in checks.py and
native_checks.py; what is said, in script.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from ccr.sandbox.access import (
    DEFAULT_TOKEN,
    problem_of_access,
    problem_of_body,
    unknown_endpoint,
    unknown_path,
)
from ccr.sandbox.answer import answer_of, output_tokens_of_turn
from ccr.sandbox.chat_wire import chat_completion, chat_stream
from ccr.sandbox.checks import decode_body, problem_of_chat_request
from ccr.sandbox.default_script import default_script
from ccr.sandbox.messages_wire import message_body, messages_stream
from ccr.sandbox.models import DEFAULT_MODELS, ModelRules, rules_of
from ccr.sandbox.native_checks import problem_of_native_headers, problem_of_native_request
from ccr.sandbox.player import Cue, Player
from ccr.sandbox.playing import Part, fault_response, play
from ccr.sandbox.recorded import Recorded
from ccr.sandbox.refusals import Refusal, Refused
from ccr.sandbox.tokens import PromptCache
from ccr.sandbox.view import RequestView, view_of_chat, view_of_messages

if TYPE_CHECKING:
    from types import TracebackType

    from ccr.sandbox.script import Script

Handler = Callable[[web.Request, Recorded], Awaitable[web.StreamResponse]]


class Workspace:
    """A strict model-serving endpoint on 127.0.0.1, as an asynchronous context manager.

    script: what the model says (the built-in one when None). token: the only bearer token that is taken.
    models: the endpoints that exist. port: 0 takes a free one.
    requests: everything received, in order; records change while their request runs.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        token: str = DEFAULT_TOKEN,
        models: Sequence[str] = DEFAULT_MODELS,
        port: int = 0,
    ) -> None:
        self.token = token
        self.models = tuple(models)
        self.host = "127.0.0.1"
        self.port = port
        self.requests: list[Recorded] = []
        self._player = Player(script or default_script())
        self._cache = PromptCache()
        self._answers = 0
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._runner: web.AppRunner | None = None
        self._is_stopping = False

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def remaining(self) -> int:
        """How many turns of the script nobody has asked for."""
        return self._player.remaining

    @property
    def refusals(self) -> list[Refusal]:
        """What the checks found, in order; scripted faults are not among them."""
        return [record.refusal for record in self.requests if record.refusal is not None]

    @property
    def conversation(self) -> list[Recorded]:
        """The requests that a turn of the script was for (side requests and refused ones left out)."""
        return [record for record in self.requests if record.is_turn]

    def play(self, script: Script) -> None:
        """Start another script; what was recorded stays."""
        self._player = Player(script)

    async def until(self, is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until ``is_true()`` holds; asked whenever a request comes in or ends. Raises TimeoutError."""
        if is_true():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((is_true, future))
        async with asyncio.timeout(timeout_s):
            await future

    async def start(self) -> None:
        """Listen; ``port`` is then the one taken."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        self.add_routes(application.router)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=0.01
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = site.port

    async def stop(self) -> None:
        """Stop listening and break off what is still being answered."""
        self._is_stopping = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add every route of a workspace; any other path is answered as the platform does."""
        router.add_post("/serving-endpoints/chat/completions", self.recorded(self._chat))
        router.add_post("/serving-endpoints/{endpoint}/invocations", self.recorded(self._chat))
        for prefix in ("/serving-endpoints/anthropic", "/ai-gateway/anthropic"):
            router.add_post(f"{prefix}/v1/messages", self.recorded(self._native))
        router.add_get("/api/2.0/serving-endpoints", self.recorded(self._endpoints))
        router.add_route("*", "/{path:.*}", self.recorded(self._unknown))

    # --- routes

    async def _chat(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        body = self._admitted(record)
        endpoint = request.match_info.get("endpoint", body.get("model"))
        if endpoint not in self.models or body.get("model", endpoint) != endpoint:
            raise Refused(unknown_endpoint(body.get("model", endpoint)))
        rules = rules_of(endpoint)
        pass_if_none(problem_of_chat_request(body, rules))
        return await self.answer(request, record, view_of_chat(body, endpoint), rules)

    async def _native(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        body = self._admitted(record)
        pass_if_none(problem_of_native_headers(record.headers))
        model = body.get("model")
        if model not in self.models:
            raise Refused(unknown_endpoint(model))
        rules = rules_of(model)
        pass_if_none(problem_of_native_request(body, rules))
        return await self.answer(request, record, view_of_messages(body), rules)

    async def _endpoints(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        pass_if_none(problem_of_access(record.headers, self.token))
        found = [
            {
                "name": name,
                "state": {"ready": "READY"},
                "task": "llm/v1/chat",
                "endpoint_type": "FOUNDATION_MODEL_API",
            }
            for name in self.models
        ]
        return web.json_response({"endpoints": found})

    async def _unknown(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        pass_if_none(problem_of_access(record.headers, self.token))
        raise Refused(unknown_path(record.path.partition("?")[0]))

    # --- the way of a request

    def _admitted(self, record: Recorded) -> dict[str, Any]:
        """Return the parsed body of a request that may come in; raises ``Refused``."""
        pass_if_none(problem_of_access(record.headers, self.token))
        pass_if_none(problem_of_body(record.headers, record.raw))
        record.json = decode_body(record.raw)
        return record.json

    async def answer(
        self, request: web.Request, record: Recorded, view: RequestView, rules: ModelRules
    ) -> web.StreamResponse:
        """Play the turn the script has for this request."""
        cue = self._player.next(view)
        record.is_turn = cue.is_turn
        is_anthropic = view.dialect == "anthropic"
        self._answers += 1
        headers = {"x-request-id": f"req_sandbox_{self._answers:05}"}
        if cue.fault is not None:
            replaced = fault_response(cue.fault, view.model, is_anthropic=is_anthropic)
            if replaced is not None:
                return replaced
        part = self._part(cue, view, rules)
        record.is_reset = cue.fault is not None and cue.fault.kind == "reset"
        response, is_complete = await play(request, part, cue.fault, headers)
        if is_complete:
            self._player.completed(cue)
        return response

    def _part(self, cue: Cue, view: RequestView, rules: ModelRules) -> Part:
        turn, wire = cue.turn, cue.turn.wire
        usage = turn.usage or self._cache.usage_of(
            view.body, view.model, rules.min_cache_tokens, output_tokens_of_turn(turn, view)
        )
        answer = answer_of(
            turn,
            view,
            rules,
            serial=cue.serial,
            answer_id=f"msg_sandbox_{self._answers:05}",
            created=int(time.time()),
            usage=usage,
        )
        is_stream = view.is_stream if wire.body == "as_asked" else wire.body == "stream"
        if view.dialect == "anthropic":
            events = messages_stream(answer, wire) if is_stream else [_encoded(message_body(answer))]
        else:
            events = chat_stream(answer, wire) if is_stream else [_encoded(chat_completion(answer, wire))]
        return Part(events, is_stream, wire, view.dialect == "anthropic")

    def recorded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler with its record: what came, what was answered, who went away."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            record = Recorded(request.method, request.path_qs, headers, at=time.monotonic())
            self.requests.append(record)
            try:
                record.raw = await request.read()
                self._changed()
                response = await handler(request, record)
                record.status = None if record.is_reset else response.status
            except Refused as refused:
                record.refusal, record.status = refused.refusal, refused.refusal.status
                response = web.json_response(refused.refusal.body, status=refused.refusal.status)
            except (asyncio.CancelledError, ConnectionResetError):
                record.closed_early = not self._is_stopping
                raise
            finally:
                record.ended_at = time.monotonic()
                self._changed()
            return response

        return handle

    def _changed(self) -> None:
        for is_true, future in [*self._watchers]:
            if not future.done() and is_true():
                future.set_result(None)
        self._watchers = [(is_true, future) for is_true, future in self._watchers if not future.done()]


def pass_if_none(refusal: Refusal | None) -> None:
    """Raise the refusal, if there is one."""
    if refusal is not None:
        raise Refused(refusal)


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
