"""Signing in to the workspace: tokens given out, refused, taken back, and a token endpoint that fails."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from ccr.sandbox import Fault, Workspace, WorkspaceThread
from ccr.sandbox.access import problem_of_access
from ccr.sandbox.identities import PERSON
from tests.sandbox.http import CREDENTIALS, ME, ask, chat, get, sign_in, token_of

ROBOT = {"robot": "s3cret"}
FORM = "application/x-www-form-urlencoded"


@dataclass
class Clock:
    now: float = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


class TestTokens:
    async def test_a_token_is_given_and_taken_until_it_ends(self) -> None:
        clock = Clock()
        async with Workspace(clients=ROBOT, token_lifetime_s=3, clock=clock) as workspace:
            answered = await sign_in(workspace)
            token = answered.json["access_token"]
            assert answered.json == {
                "access_token": token,
                "token_type": "Bearer",
                "scope": "all-apis",
                "expires_in": 3,
            }
            assert answered.headers["cache-control"] == "no-store"
            assert (await chat(workspace, token=token)).status == 200
            clock.now += 2.99
            assert (await chat(workspace, token=token)).status == 200
            clock.now += 0.01
            refused = await chat(workspace, token=token)
            assert (refused.status, refused.json) == (
                403,
                {"error_code": "PERMISSION_DENIED", "message": "Token is expired"},
            )
            assert (await chat(workspace, token=await token_of(workspace))).status == 200
            assert len(workspace.token_requests) == 2
            callers = [record.caller for record in workspace.requests if "invocations" in record.path]
            assert callers == ["robot", "robot", None, "robot"]

    async def test_a_token_says_when_it_ends_and_never_too_late(self) -> None:
        clock = Clock()
        async with Workspace(clients=ROBOT, token_lifetime_s=60, clock=clock) as workspace:
            one, other = await token_of(workspace), await token_of(workspace)
            claims = claims_of(one)
            assert one != other
            assert (claims["iat"], claims["exp"], claims["sub"]) == (1_795_000_000, 1_795_000_060, "robot")
            assert claims["iss"] == f"{workspace.url}/oidc"

    async def test_tokens_can_be_taken_back(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            token = await token_of(workspace)
            workspace.revoke_tokens()
            refused = await chat(workspace, token=token)
            assert (refused.status, refused.json["message"]) == (403, "Invalid Token")
            assert (await chat(workspace)).status == 200

    @pytest.mark.parametrize(
        ("status", "code"), [(400, "BAD_REQUEST"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")]
    )
    @pytest.mark.parametrize(
        ("token", "sentence"), [("a.b.c", "Invalid Token"), ("dapi0", "Invalid access token.")]
    )
    async def test_each_form_of_the_refusal(self, status: Any, code: str, token: str, sentence: str) -> None:
        async with Workspace(token_refusal=status) as workspace:
            refused = await chat(workspace, token=token)
        assert (refused.status, refused.json) == (status, {"error_code": code, "message": sentence})

    async def test_a_front_end_that_looks_ahead(self) -> None:
        clock = Clock()
        async with Workspace(clients=ROBOT, refused_early_s=30, clock=clock) as workspace:
            token = await token_of(workspace)
            clock.now += 3_600 - 31
            assert (await chat(workspace, token=token)).status == 200
            clock.now += 1
            refused = await chat(workspace, token=token)
        assert refused.status == 403
        assert refused.json["message"] == "Token is expiring within 30 seconds. (token expired)"

    async def test_a_token_of_a_users_own(self) -> None:
        async with Workspace(user_tokens={"their-token": "ada@example.com"}) as workspace:
            assert (await chat(workspace, token="their-token")).status == 200
            assert workspace.requests[-1].caller == "ada@example.com"


class TestMe:
    async def test_everyone_is_told_who_they_are(self) -> None:
        user_tokens = {"their-token": "ada@example.com"}
        async with Workspace(clients=ROBOT, user_tokens=user_tokens) as workspace:
            tokens = {None: PERSON, await token_of(workspace): "robot", "their-token": "ada@example.com"}
            for token, name in tokens.items():
                answered = await get(workspace, ME, token=token)
                assert (answered.status, answered.json["userName"]) == (200, name)
                assert answered.json["active"]
            assert (await get(workspace, ME, token="")).status == 401


class TestTokenEndpoint:
    async def test_credentials_may_be_in_the_form(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            form = CREDENTIALS | {"client_id": "robot", "client_secret": "s3cret"}
            answered = await ask(workspace, "POST", "/oidc/v1/token", token="", data=form)
        assert answered.json["token_type"] == "Bearer"

    async def test_a_login_is_renewed(self) -> None:
        async with Workspace(logins={"refresh-1": "ada@example.com"}) as workspace:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": "refresh-1",
                "client_id": "databricks-cli",
            }
            answered = await ask(workspace, "POST", "/oidc/v1/token", token="", data=form)
            assert answered.json["refresh_token"] == "refresh-1"
            me = await get(workspace, ME, token=answered.json["access_token"])
            assert me.json["userName"] == "ada@example.com"

    @pytest.mark.parametrize(
        ("form", "headers", "status", "error"),
        [
            (CREDENTIALS, {}, 401, "invalid_client"),
            (CREDENTIALS | {"client_id": "robot", "client_secret": "no"}, {}, 401, "invalid_client"),
            (CREDENTIALS | {"client_id": "nobody", "client_secret": "s3cret"}, {}, 401, "invalid_client"),
            (
                {
                    "grant_type": "client_credentials",
                    "client_id": "robot",
                    "client_secret": "s3cret",
                },
                {},
                400,
                "invalid_scope",
            ),
            ({"grant_type": "password"}, {}, 400, "unsupported_grant_type"),
            ({}, {"content-type": FORM}, 400, "unsupported_grant_type"),
            (CREDENTIALS, {"content-type": "application/json"}, 400, "invalid_request"),
            (b"grant_type", {"content-type": FORM}, 400, "invalid_request"),
            (b"grant_type=\xff", {"content-type": FORM}, 400, "invalid_request"),
            (b"a=1&a=1", {"content-type": FORM}, 400, "invalid_request"),
            (CREDENTIALS, {"authorization": "Basic ???"}, 400, "invalid_request"),
            (CREDENTIALS, {"authorization": "Basic /w=="}, 400, "invalid_request"),
            (CREDENTIALS | {"client_secret": "x"}, {"authorization": "Basic eDp5"}, 400, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "refresh-1"}, {}, 401, "invalid_client"),
            (
                {"grant_type": "refresh_token", "refresh_token": "old", "client_id": "databricks-cli"},
                {},
                400,
                "invalid_grant",
            ),
        ],
    )
    async def test_refusals_in_the_form_of_oauth(
        self, form: Any, headers: dict[str, str], status: int, error: str
    ) -> None:
        async with Workspace(clients=ROBOT, logins={"refresh-1": "ada@example.com"}) as workspace:
            refused = await ask(workspace, "POST", "/oidc/v1/token", token="", data=form, headers=headers)
            assert (refused.status, refused.json["error"]) == (status, error)
            assert refused.json["error_description"]
            assert [refusal.status for refusal in workspace.refusals] == [status]

    async def test_no_clients_no_tokens(self) -> None:
        async with Workspace() as workspace:
            assert (await sign_in(workspace)).json["error"] == "invalid_client"


class TestTokenFaults:
    async def test_down_for_some_requests(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            workspace.fail_tokens(Fault(kind="reset", times=2))
            for _ in range(2):
                with pytest.raises(aiohttp.ClientConnectionError):
                    await sign_in(workspace)
            assert (await chat(workspace)).status == 200
            assert (await sign_in(workspace)).status == 200

    async def test_a_fault_can_be_ended(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            workspace.fail_tokens(Fault(kind="status", status=503, times=1_000))
            answered = await sign_in(workspace)
            assert (answered.status, answered.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
            workspace.fail_tokens(Fault(kind="status", times=0))
            assert (await sign_in(workspace)).status == 200

    async def test_slow(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            workspace.fail_tokens(Fault(kind="stall", where="headers", seconds=0.001))
            assert (await sign_in(workspace)).status == 200

    async def test_garbage(self) -> None:
        async with Workspace(clients=ROBOT) as workspace:
            workspace.fail_tokens(Fault(kind="garbage"))
            answered = await sign_in(workspace)
            assert answered.status == 200
            with pytest.raises(json.JSONDecodeError):
                json.loads(answered.text)
            workspace.fail_tokens(Fault(kind="html", status=200))
            assert "<title>" in (await sign_in(workspace)).text


class TestMetadata:
    async def test_what_the_sdk_reads_first(self) -> None:
        async with Workspace() as workspace:
            config = await get(workspace, "/.well-known/databricks-config", token="")
            assert config.json["oidc_endpoint"] == f"{workspace.url}/oidc"
            for name in ("oauth-authorization-server", "openid-configuration"):
                found = await get(workspace, f"/oidc/.well-known/{name}", token="")
                assert found.json["token_endpoint"] == f"{workspace.url}/oidc/v1/token"

    async def test_a_login_page_on_every_path(self) -> None:
        async with Workspace(clients=ROBOT, login_page=True) as workspace:
            for answered in (await chat(workspace), await sign_in(workspace), await get(workspace, ME)):
                assert (answered.status, answered.headers["location"]) == (303, "/login")
            page = await get(workspace, "/login")
            assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            workspace.login_page = False
            assert (await chat(workspace)).status == 200


def test_a_workspace_in_a_thread() -> None:
    with WorkspaceThread(Workspace(clients=ROBOT)) as workspace:
        workspace.fail_tokens(Fault(kind="status"))
        workspace.revoke_tokens()
        assert workspace.token_requests == []


@pytest.mark.parametrize(("sent", "status"), [("", 401), ("Bearer wrong", 403), ("Bearer right", None)])
def test_access_by_one_token(sent: str, status: int | None) -> None:
    refusal = problem_of_access({"authorization": sent}, "right")
    assert (refusal.status if refusal else None) == status
