"""The real databricks-sdk signs in to the sandbox, as the judge of its token endpoint."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ccr.sandbox import FakeCli, Fault, Workspace, WorkspaceThread
from ccr.sandbox.identities import PERSON
from tests.sandbox.bodies import OLD, chat_body
from tests.sandbox.http import CHAT, SECRET, Answered
from tests.sandbox.test_identity import Clock

if TYPE_CHECKING:
    from pathlib import Path

ROBOT = {"robot": SECRET}


@pytest.fixture(scope="module")
def sdk() -> Any:
    """The package, imported by name: it is large, and only this file pays for it."""
    return importlib.import_module("databricks.sdk.core")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "AUTH_TYPE", "CONFIG_PROFILE"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "databrickscfg"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def config_of(sdk: Any, workspace: WorkspaceThread, **settings: Any) -> Any:
    identity = {} if "token" in settings else {"client_id": "robot", "client_secret": SECRET}
    return sdk.Config(host=workspace.url, retry_timeout_seconds=5, **identity | settings)


def chat_with(workspace: WorkspaceThread, headers: dict[str, str]) -> Answered:
    async def ask() -> Answered:
        async with (
            aiohttp.ClientSession() as session,
            session.post(workspace.url + CHAT, json=chat_body(), headers=headers) as response,
        ):
            return Answered(response.status, await response.text(), response.headers)

    return asyncio.run(ask())


def test_a_service_principal_signs_in_and_chats(sdk: Any) -> None:
    with WorkspaceThread(Workspace(clients=ROBOT)) as workspace:
        config = config_of(sdk, workspace)
        for _ in range(5):
            assert chat_with(workspace, config.authenticate()).status == 200
        assert config.auth_type == "oauth-m2m"
        assert len(workspace.token_requests) == 1
        assert workspace.requests[-1].caller == "robot"
        asked = [record.path for record in workspace.requests[:3]]
        assert asked[0] == "/.well-known/databricks-config"
        assert asked[-1] == "/oidc/v1/token"
        assert workspace.refusals == []


def test_an_expired_token_is_renewed(sdk: Any) -> None:
    clock = Clock()
    with WorkspaceThread(Workspace(clients=ROBOT, token_lifetime_s=30, clock=clock)) as workspace:
        config = config_of(sdk, workspace)
        first = config.authenticate()
        assert chat_with(workspace, first).status == 200
        clock.now += 30
        assert chat_with(workspace, first).json["message"] == "Token is expired"
        second = config.authenticate()  # the SDK takes a token with 40 s left for expired
        assert second != first
        assert chat_with(workspace, second).status == 200
        assert len(workspace.token_requests) == 2


def test_a_wrong_secret(sdk: Any) -> None:
    with WorkspaceThread(Workspace(clients=ROBOT)) as workspace:
        config = config_of(sdk, workspace, client_secret="wrong")
        with pytest.raises(ValueError, match="invalid_client: Client authentication failed"):
            config.authenticate()


def test_a_personal_access_token(sdk: Any) -> None:
    with WorkspaceThread() as workspace:
        config = config_of(sdk, workspace, token=workspace.token)
        assert chat_with(workspace, config.authenticate()).status == 200
        assert workspace.token_requests == []


def test_the_api_of_the_workspace(sdk: Any) -> None:
    client_type = importlib.import_module("databricks.sdk").WorkspaceClient
    with WorkspaceThread(Workspace(models=[OLD])) as workspace:
        client = client_type(config=config_of(sdk, workspace, token=workspace.token))
        assert client.current_user.me().user_name == PERSON
        assert [endpoint.name for endpoint in client.serving_endpoints.list()] == [OLD]
        workspace.workspace.token = "another"
        with pytest.raises(importlib.import_module("databricks.sdk.errors").PermissionDenied):
            client.current_user.me()


def test_a_token_endpoint_that_fails_for_a_moment(sdk: Any) -> None:
    with WorkspaceThread(Workspace(clients=ROBOT)) as workspace:
        config = config_of(sdk, workspace)
        workspace.fail_tokens(Fault(kind="html", status=502))
        with pytest.raises(ValueError, match=r"oauth-m2m|token|html|JSON"):
            config.authenticate()
        assert chat_with(workspace, config.authenticate()).status == 200


def test_the_login_of_the_stand_in_for_the_cli(sdk: Any, tmp_path: Path) -> None:
    with WorkspaceThread(Workspace(logins={"refresh-1": "ada@example.com"})) as workspace:
        cli = FakeCli(tmp_path, workspace.url, "refresh-1")
        settings = {"auth_type": "databricks-cli", "databricks_cli_path": str(cli.program)}
        config = config_of(sdk, workspace, token=None, **settings)
        assert chat_with(workspace, config.authenticate()).status == 200
        assert workspace.requests[-1].caller == "ada@example.com"
        assert len(cli.calls) >= 1
