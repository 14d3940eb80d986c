"""The workspace's routes that are no model's: signing in, who am I, what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ccr.sandbox.access import unknown_path
from ccr.sandbox.discovery import (
    foundation_models,
    gateway_models,
    has_gateway,
    model_services,
    serving_endpoints,
)
from ccr.sandbox.identities import person_of
from ccr.sandbox.playing import Part, encoded, fault_response, play
from ccr.sandbox.refusals import Refused
from ccr.sandbox.script import Wire
from ccr.sandbox.token_endpoint import OIDC, TOKEN_PATH, databricks_config, server_metadata, token_answer

if TYPE_CHECKING:
    from ccr.sandbox.recorded import Recorded
    from ccr.sandbox.script import Fault
    from ccr.sandbox.workspace import Workspace

NO_STORE = {"cache-control": "no-store"}


class PlatformRoutes:
    """The handlers; the workspace's identities, models and native routes are read at each request."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._fault: Fault | None = None
        self._faults_left = 0

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        recorded = self._workspace.recorded
        router.add_get("/.well-known/databricks-config", recorded(self._databricks_config))
        for name in ("oauth-authorization-server", "openid-configuration"):
            router.add_get(f"{OIDC}/.well-known/{name}", recorded(self._server_metadata))
        router.add_post(TOKEN_PATH, recorded(self._token))
        router.add_get("/api/2.0/preview/scim/v2/Me", recorded(self._me))
        router.add_get("/api/2.0/serving-endpoints", recorded(self._endpoints))
        router.add_get("/api/2.0/serving-endpoints:foundation-models", recorded(self._foundation_models))
        router.add_get("/api/2.1/unity-catalog/model-services", recorded(self._model_services))
        router.add_get("/ai-gateway/anthropic/v1/models", recorded(self._gateway_models))

    def fail_tokens(self, fault: Fault) -> None:
        """Play a fault on the next ``fault.times`` requests for a token; ``times=0`` ends an earlier one."""
        self._fault, self._faults_left = fault, fault.times

    # --- signing in

    async def _databricks_config(self, _request: web.Request, _record: Recorded) -> web.StreamResponse:
        return web.json_response(databricks_config(self._workspace.url))

    async def _server_metadata(self, _request: web.Request, _record: Recorded) -> web.StreamResponse:
        return web.json_response(server_metadata(self._workspace.url))

    async def _token(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        fault = self._next_fault()
        if fault is not None:
            replaced = fault_response(fault, "", is_anthropic=False)
            if replaced is not None:
                return replaced
        answer = token_answer(self._workspace.identities, self._workspace.url, record.headers, record.raw)
        part = Part([encoded(answer)], is_stream=False, wire=Wire(), is_anthropic=False)
        record.is_reset = fault is not None and fault.kind == "reset"
        response, _ = await play(request, part, fault, NO_STORE)
        return response

    def _next_fault(self) -> Fault | None:
        if self._faults_left <= 0:
            return None
        self._faults_left -= 1
        return self._fault

    # --- who and what

    async def _me(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        return web.json_response(person_of(self._workspace.identify(record)))

    async def _endpoints(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        self._workspace.identify(record)
        return web.json_response(serving_endpoints(self._workspace.served))

    async def _foundation_models(self, _request: web.Request, record: Recorded) -> web.StreamResponse:
        self._workspace.identify(record)
        return web.json_response(foundation_models(self._workspace.served, self._workspace.native))

    async def _model_services(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        self._workspace.identify(record)
        self._need_gateway(request)
        return web.json_response(model_services(self._workspace.served, request.query))

    async def _gateway_models(self, request: web.Request, record: Recorded) -> web.StreamResponse:
        self._workspace.identify(record)
        self._need_gateway(request)
        return web.json_response(gateway_models(self._workspace.served, request.query))

    def _need_gateway(self, request: web.Request) -> None:
        if not has_gateway(self._workspace.native):
            raise Refused(unknown_path(request.path, has_gateway=False))
