"""Whole requests to the sandbox's workspace and its strict token endpoint, on one clock set by hand."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ccr.config.model import Secret
from ccr.errors import UpstreamError
from ccr.sandbox import FakeCli, Fault, Workspace
from ccr.upstream.auth.credentials import Credentials, credentials_for
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.auth.identity import IdentitySettings, SdkIdentity
from ccr.upstream.auth.refusals import is_token_refusal
from ccr.upstream.auth.sdk import SdkSource
from tests.sandbox.bodies import OLD, chat_body
from tests.upstream.auth.fakes import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "dose-not-a-secret"


class Line:
    """The gateway's line in miniature: a header, the request, at most one more with another token."""

    def __init__(
        self, workspace: Workspace, clock: Clock, session: aiohttp.ClientSession, **settings: Any
    ) -> None:
        self.workspace = workspace
        self.clock = clock
        self._session = session
        self.url = f"{workspace.url}/serving-endpoints/{OLD}/invocations"
        known: dict[str, Any] = {"client_id": "robot", "client_secret": Secret(SECRET)} | settings
        self.credentials: Credentials = credentials_for(
            IdentitySettings(url=self.url, **known), {}, http=AiohttpTokenHttp(), clock=clock
        )

    async def turn(self) -> int:
        """Return the status that the client gets."""
        used = await self.credentials.authorization()
        status, body = await self._send(used)
        if is_token_refusal(status, body) and await self.credentials.rejected(used):
            status, body = await self._send(await self.credentials.authorization())
        return status

    async def _send(self, header: Secret) -> tuple[int, bytes]:
        headers = {"Authorization": header.reveal()}
        async with self._session.post(self.url, json=chat_body(), headers=headers) as response:
            return response.status, await response.read()

    @property
    def renewals(self) -> int:
        """How many tokens were asked for."""
        return len(self.workspace.token_requests)

    @property
    def refusals(self) -> int:
        """How many requests for a model the workspace refused."""
        return len(self.workspace.refusals)


@asynccontextmanager
async def line(*, life_s: float = 3600.0, secret: str = SECRET, **options: Any) -> AsyncIterator[Line]:
    clock = Clock()
    workspace = Workspace(
        clients={"robot": SECRET}, token_lifetime_s=life_s, clock=lambda: clock.wall_s, **options
    )
    async with workspace, aiohttp.ClientSession() as session:
        made = Line(workspace, clock, session, client_secret=Secret(secret))
        yield made
        await made.credentials.close()


async def test_a_session_outlives_many_tokens_of_three_seconds() -> None:
    async with line(life_s=3.0) as made:
        for _ in range(60):
            assert await made.turn() == 200
            made.clock.pass_s(0.5)
        assert made.refusals == 0
        assert made.renewals <= 30 / 2.4 + 1


async def test_a_session_of_a_day_costs_a_renewal_an_hour() -> None:
    async with line() as made:
        for _ in range(24 * 6):
            assert await made.turn() == 200
            made.clock.pass_s(600)
        assert made.refusals == 0
        assert made.renewals <= 24 * 3600 / 2880 + 1


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_tokens_that_are_taken_back_cost_one_renewal_for_all(status: int) -> None:
    async with line(token_refusal=status) as made:
        await made.turn()
        made.workspace.revoke_tokens()
        assert await asyncio.gather(*(made.turn() for _ in range(50))) == [200] * 50
        assert made.renewals == 2


async def test_a_workspace_that_refuses_early_is_asked_twice() -> None:
    async with line(life_s=60.0, refused_early_s=30.0) as made:
        for _ in range(20):
            assert await made.turn() == 200
            made.clock.pass_s(5)
        assert made.renewals <= 100 / 30 + 1


async def test_a_token_endpoint_that_is_down_for_five_seconds_stops_no_request() -> None:
    async with line(life_s=100.0) as made:
        await made.turn()
        made.clock.pass_s(81)
        made.workspace.fail_tokens(Fault(kind="status", status=503, times=10))
        for _ in range(10):
            assert await made.turn() == 200
            made.clock.pass_s(0.5)
        assert 2 <= made.renewals <= 4
        made.workspace.fail_tokens(Fault(kind="status", times=0))
        made.clock.pass_s(20)
        assert await made.turn() == 200


@pytest.mark.fault("S70", outcome="told as it is, no renewal")
async def test_a_model_that_is_not_offered_is_no_reason_to_renew() -> None:
    async with line(rate_limit_zero=[OLD]) as made:
        assert [await made.turn() for _ in range(3)] == [403] * 3
        assert made.renewals == 1


async def test_a_wrong_secret_is_one_clear_sentence() -> None:
    async with line(secret="canary-wrong") as made:
        for _ in range(3):
            with pytest.raises(UpstreamError, match="client id and secret") as caught:
                await made.turn()
            assert "canary" not in str(caught.value)
        assert made.renewals == 1


async def test_the_login_of_a_strict_cli(tmp_path: Path) -> None:
    async with Workspace(logins={"login": "me@sandbox.invalid"}) as workspace:
        cli = FakeCli(tmp_path, workspace.url, "login")
        credentials = credentials_for(
            IdentitySettings(url=f"{workspace.url}/serving-endpoints/x/invocations"),
            {"PATH": str(tmp_path), "DATABRICKS_CLIENT_ID": "not-mine"},
            http=AiohttpTokenHttp(),
        )
        cli.lock(1)
        used = await credentials.authorization()
        assert await credentials.rejected(used), "the one in the CLI's cache is not given again"
        assert [call.is_forced for call in cli.calls] == [False, False, False, True]
        assert not any(name.startswith("DATABRICKS_") for call in cli.calls for name in call.environ)
        assert len(workspace.token_requests) == 2
        assert workspace.refusals == []
        await credentials.close()


async def test_a_cli_that_is_not_signed_in_names_the_command(tmp_path: Path) -> None:
    async with Workspace() as workspace:
        FakeCli(tmp_path, workspace.url, None)
        credentials = credentials_for(
            IdentitySettings(url=f"{workspace.url}/serving-endpoints/x/invocations"),
            {"PATH": str(tmp_path)},
            http=AiohttpTokenHttp(),
        )
        with pytest.raises(UpstreamError, match=f"databricks auth login --host {workspace.url}"):
            await credentials.authorization()


async def test_the_real_sdk_signs_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "databrickscfg"))
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "robot")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with Workspace(clients={"robot": SECRET}) as workspace:
        source = SdkSource(
            SdkIdentity(host=workspace.url, profile=None, auth_type=None, source="environment")
        )
        token = await source.fetch(None)
        assert token.expires_at is not None
        assert (await source.fetch(token.secret)).secret != token.secret
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "canary-wrong")
        with pytest.raises(UpstreamError, match="databricks-sdk found no identity") as caught:
            await source.fetch(None)
        assert "canary" not in str(caught.value)
        assert len(workspace.token_requests) == 3
