"""Asking a workspace over HTTP, without any of ccr's own code."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.sandbox.bodies import OLD, chat_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.sandbox import Workspace

CHAT = f"/serving-endpoints/{OLD}/invocations"
SERVING = "/serving-endpoints/anthropic/v1/messages"
GATEWAY = "/ai-gateway/anthropic/v1/messages"
ME = "/api/2.0/preview/scim/v2/Me"
SECRET = "s3cret"
CREDENTIALS = {"grant_type": "client_credentials", "scope": "all-apis"}


@dataclass(frozen=True)
class Answered:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def ask(
    workspace: Workspace, method: str, path: str, *, token: str | None = None, **options: Any
) -> Answered:
    """token: None is the personal access token, "" none at all."""
    token = workspace.token if token is None else token
    headers = {"anthropic-version": "2023-06-01"} | options.pop("headers", {})
    if token:
        headers["authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, workspace.url + path, headers=headers, allow_redirects=False, **options
        ) as response,
    ):
        return Answered(response.status, await response.text(), response.headers)


async def get(workspace: Workspace, path: str, *, token: str | None = None, **options: Any) -> Answered:
    return await ask(workspace, "GET", path, token=token, **options)


async def chat(workspace: Workspace, *, token: str | None = None, **fields: Any) -> Answered:
    return await ask(workspace, "POST", CHAT, token=token, json=chat_body(**fields))


async def sign_in(
    workspace: Workspace, client_id: str = "robot", secret: str = SECRET, **form: str
) -> Answered:
    """Ask for a token with Basic authentication; form: further or other fields."""
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"authorization": f"Basic {basic}"}
    return await ask(workspace, "POST", "/oidc/v1/token", token="", data=CREDENTIALS | form, headers=headers)


async def token_of(workspace: Workspace) -> str:
    answered = await sign_in(workspace)
    assert answered.status == 200, answered.text
    token: str = answered.json["access_token"]
    return token
