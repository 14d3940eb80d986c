"""The workspace as a server on the loopback interface: its models, who may call them, how much they answer.

    async with Workspace(script, models=…) as workspace:
        …  # POST workspace.url + "/serving-endpoints/databricks-claude-sonnet-4-5/invocations"
        workspace.requests[0].body

``WorkspaceThread`` (thread.py) is the same with an event loop of its own, for code that is not asynchronous;
``AnthropicFake`` (anthropic_fake.py) stands in for the Anthropic API. What is refused is in checks.py and
native_checks.py; what is said, in script.py; sign-in and discovery are in platform_routes.py.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from ccr.sandbox.access import (
    DEFAULT_TOKEN,
    not_anthropic,
    problem_of_body,
    rate_limit_of_zero,
    retired_endpoint,
    unknown_endpoint,
    unknown_model_service,
    unknown_path,
)
from ccr.sandbox.answer import answer_of, output_tokens_of_turn
from ccr.sandbox.chat_wire import chat_completion, chat_stream
from ccr.sandbox.checks import decode_body, problem_of_chat_request
from ccr.sandbox.default_script import default_script
from ccr.sandbox.discovery import Native, endpoint_of, has_gateway, has_serving
from ccr.sandbox.identities import Identities
from ccr.sandbox.messages_wire import message_body, messages_stream
from ccr.sandbox.models import DEFAULT_MODELS, ModelRules, rules_of
from ccr.sandbox.native_checks import problem_of_native_headers, problem_of_native_request
from ccr.sandbox.platform_routes import PlatformRoutes
from ccr.sandbox.player import Cue, Player
from ccr.sandbox.playing import Part, encoded, fault_response, play
from ccr.sandbox.quotas import Quotas
from ccr.sandbox.recording_server import Handler, RecordingServer
from ccr.sandbox.refusals import Refused, pass_if_none
from ccr.sandbox.token_endpoint import TOKEN_PATH
from ccr.sandbox.tokens import PromptCache, prompt_tokens
from ccr.sandbox.tomorrow import Tomorrow
from ccr.sandbox.view import RequestView, view_of_chat, view_of_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from aiohttp import web

    from ccr.sandbox.recorded import Recorded
    from ccr.sandbox.script import Fault, Script, Usage

__all__ = ["Handler", "Workspace", "pass_if_none"]

SERVING, GATEWAY = "/serving-endpoints/anthropic", "/ai-gateway/anthropic"
GATEWAY_CHAT = "/ai-gateway/mlflow/v1/chat/completions"
NO_NAMES: Mapping[str, str] = {}
NO_MODELS: Mapping[str, int] = {}


class Workspace(RecordingServer):
    """A strict model-serving endpoint on 127.0.0.1, as an asynchronous context manager.

    script: what the model says (the built-in one when None). token: the personal access token. models: the
    endpoints that exist. The other options are described in docs/sandbox.md; they are attributes too, and may
    be changed while it runs.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        token: str = DEFAULT_TOKEN,
        models: Sequence[str] = DEFAULT_MODELS,
        port: int = 0,
        clients: Mapping[str, str] = NO_NAMES,
        logins: Mapping[str, str] = NO_NAMES,
        user_tokens: Mapping[str, str] = NO_NAMES,
        token_lifetime_s: float = 3_600.0,
        token_refusal: Literal[400, 401, 403] = 403,
        refused_early_s: float = 0.0,
        native: Native = "both",
        login_page: bool = False,
        retired: Mapping[str, int] = NO_MODELS,
        rate_limit_zero: Collection[str] = (),
        otpm: int | None = None,
        itpm: int | None = None,
        refused_keys: Collection[str] = (),
        refused_betas: Collection[str] = (),
        max_output: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port=port, login_page=login_page)
        self.token = token
        self.models = tuple(models)
        self.native: Native = native
        self.retired = dict(retired)
        self.rate_limit_zero = frozenset(rate_limit_zero)
        self.identities = Identities(
            clients=clients,
            logins=logins,
            user_tokens=user_tokens,
            lifetime_s=token_lifetime_s,
            refusal_status=token_refusal,
            refused_early_s=refused_early_s,
            clock=clock,
        )
        self.tomorrow = Tomorrow(frozenset(refused_keys), frozenset(refused_betas), max_output)
        self.quotas = Quotas(itpm=itpm, otpm=otpm, clock=clock)
        self._platform = PlatformRoutes(self)
        self._clock = clock
        self._player = Player(script or default_script())
        self._cache = PromptCache()
        self._answers = 0

    @property
    def remaining(self) -> int:
        """How many turns of the script nobody has asked for."""
        return self._player.remaining

    @property
    def served(self) -> tuple[str, ...]:
        """The endpoints that the lists show: all but the retired ones."""
        return tuple(name for name in self.models if name not in self.retired)

    @property
    def token_requests(self) -> list[Recorded]:
        """The requests for an OAuth token, in order."""
        return [record for record in self.requests if record.path == TOKEN_PATH]

    def play(self, script: Script) -> None:
        """Start another script; what was recorded stays."""
        self._player = Player(script)

    def revoke_tokens(self) -> None:
        """Take back every OAuth access token given out so far."""
        self.identities.revoke()

    def fail_tokens(self, fault: Fault) -> None:
        """Play a fault on the next ``fault.times`` requests for a token; ``times=0`` ends an earlier one."""
        self._platform.fail_tokens(fault)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add every route of a workspace; any other path is answered as the platform does."""
        self._platform.add_to(router)
        router.add_post("/serving-endpoints/chat/completions", self.recorded(self._chat))
        router.add_post("/serving-endpoints/{endpoint}/invocations", self.recorded(self._chat))
        for prefix in (SERVING, GATEWAY):
            router.add_post(f"{prefix}/v1/messages", self.recorded(self._native))
        router.add_post(GATEWAY_CHAT, self.recorded(self._gateway_chat))
        router.add_route("*", "/{path:.*}", self.recorded(self._unknown))

    # --- routes

    async def _chat(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        body = self._admitted(record)
        endpoint = request.match_info.get("endpoint", body.get("model"))
        if endpoint not in self.models or body.get("model", endpoint) != endpoint:
            raise Refused(unknown_endpoint(body.get("model", endpoint)))
        return await self._chat_answer(request, record, body, endpoint, endpoint)

    async def _gateway_chat(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        if not has_gateway(self.native):
            return await self._unknown(request, record)
        body = self._admitted(record)
        model = body.get("model")
        endpoint = endpoint_of(model, self.models)
        if endpoint is None:
            raise Refused(unknown_model_service(model))
        return await self._chat_answer(request, record, body, endpoint, str(model))

    async def _chat_answer(
        self, request: web.Request, record: Recorded, body: dict[str, Any], endpoint: str, model: str
    ) -> web.StreamResponse:
        """Answer a chat request to an endpoint that is called by the name ``model``."""
        rules = self._rules_of(endpoint, model)
        self.tomorrow.check_keys(body)
        pass_if_none(problem_of_chat_request(body, rules))
        return await self.answer(request, record, view_of_chat(body, model), rules)

    async def _native(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        is_gateway = request.path.startswith(GATEWAY)
        if not (has_gateway if is_gateway else has_serving)(self.native):
            return await self._unknown(request, record)
        body = self._admitted(record)
        pass_if_none(problem_of_native_headers(record.headers))
        pass_if_none(self.tomorrow.problem_of_betas(record.headers))
        model = body.get("model")
        endpoint = endpoint_of(model, self.models) if is_gateway else model
        if endpoint not in self.models:
            is_catalog_name = is_gateway and "." in str(model)
            raise Refused(unknown_model_service(model) if is_catalog_name else unknown_endpoint(model))
        rules = self._rules_of(str(endpoint), str(model))
        if rules.family is not None:
            raise Refused(not_anthropic(model))
        self.tomorrow.check_keys(body)
        pass_if_none(problem_of_native_request(body, rules))
        return await self.answer(request, record, view_of_messages(body), rules)

    async def _unknown(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        self.identify(record)
        has = {"has_native": has_serving(self.native), "has_gateway": has_gateway(self.native)}
        raise Refused(unknown_path(request.path, **has))

    # --- the way of a request

    def identify(self, record: Recorded) -> str:
        """Return who this request comes from, and note it. Raises Refused."""
        record.caller = self.identities.caller_of(record.headers, self.token)
        return record.caller

    def _admitted(self, record: Recorded) -> dict[str, Any]:
        """Return the parsed body of a request that may come in. Raises Refused."""
        self.identify(record)
        pass_if_none(problem_of_body(record.headers, record.raw))
        record.json = decode_body(record.raw)
        return record.json

    def _rules_of(self, endpoint: str, model: str) -> ModelRules:
        """Return the rules of an endpoint called by the name ``model``. Raises Refused: it answers nobody."""
        if endpoint in self.retired:
            raise Refused(retired_endpoint(model, self.retired[endpoint]))
        if endpoint in self.rate_limit_zero:
            raise Refused(rate_limit_of_zero())
        return self.tomorrow.rules(rules_of(model))

    async def answer(
        self, request: web.Request, record: Recorded, view: RequestView, rules: ModelRules
    ) -> web.StreamResponse:
        """Play the turn the script has for this request, within the quotas."""
        charge = self.quotas.admit(view.model, prompt_tokens(view.body), view.max_tokens)
        answered = 0
        try:
            cue = self._player.next(view)
            record.is_turn = cue.is_turn
            self.changed()
            self._answers += 1
            headers = {"x-request-id": f"req_sandbox_{self._answers:05}"}
            if cue.fault is not None:
                replaced = fault_response(cue.fault, view.model, is_anthropic=view.dialect == "anthropic")
                if replaced is not None:
                    return replaced
            usage = self._usage_of(cue, view, rules)
            record.is_reset = cue.fault is not None and cue.fault.kind == "reset"
            answered = 0 if record.is_reset else usage.output
            response, is_complete = await play(
                request, self._part(cue, view, rules, usage), cue.fault, headers
            )
            if is_complete:
                self._player.completed(cue)
            return response
        finally:
            charge.tokens = answered

    def _usage_of(self, cue: Cue, view: RequestView, rules: ModelRules) -> Usage:
        return cue.turn.usage or self._cache.usage_of(
            view.body, view.model, rules.min_cache_tokens, output_tokens_of_turn(cue.turn, view)
        )

    def _part(self, cue: Cue, view: RequestView, rules: ModelRules, usage: Usage) -> Part:
        turn, wire = cue.turn, cue.turn.wire
        answer = answer_of(
            turn,
            view,
            rules,
            serial=cue.serial,
            answer_id=f"msg_sandbox_{self._answers:05}",
            created=int(self._clock()),
            usage=usage,
        )
        is_stream = view.is_stream if wire.body == "as_asked" else wire.body == "stream"
        if view.dialect == "anthropic":
            events = messages_stream(answer, wire) if is_stream else [encoded(message_body(answer))]
        else:
            events = chat_stream(answer, wire) if is_stream else [encoded(chat_completion(answer, wire))]
        return Part(events, is_stream, wire, view.dialect == "anthropic")
