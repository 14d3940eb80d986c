"""The stand-in for the Databricks CLI, as a program and part by part."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import FakeCli, Fault, Workspace, WorkspaceThread
from ccr.sandbox.cli_program import main
from tests.sandbox.test_identity import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGINS = {"refresh-1": "ada@example.com"}
NOT_CONFIGURED = "Error: cache: databricks OAuth is not configured for this host."


@pytest.fixture
def workspace() -> Iterator[WorkspaceThread]:
    with WorkspaceThread(Workspace(logins=LOGINS)) as running:
        yield running


@pytest.fixture
def cli(workspace: WorkspaceThread, tmp_path: Path) -> FakeCli:
    return FakeCli(tmp_path, workspace.url, "refresh-1", profiles={"DEFAULT": workspace.url})


class Printed:
    def __init__(self, capsys: pytest.CaptureFixture[str], cli: FakeCli) -> None:
        self._capsys, self._state = capsys, str(cli.folder / "databricks-state.json")

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run the program's code here; exit code, stdout, stderr."""
        exit_code = main([self._state, *arguments])
        out, err = self._capsys.readouterr()
        return exit_code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], cli: FakeCli) -> Printed:
    return Printed(capsys, cli)


def token_in(ran: tuple[int, str, str]) -> dict[str, Any]:
    exit_code, out, err = ran
    assert (exit_code, err) == (0, "")
    token: dict[str, Any] = json.loads(out)
    assert token["token_type"] == "Bearer"
    return token


def left_s(token: dict[str, Any]) -> float:
    return (datetime.fromisoformat(token["expiry"]) - datetime.now(UTC)).total_seconds()


def test_the_program_itself(workspace: WorkspaceThread, cli: FakeCli) -> None:
    command = [str(cli.program), "auth", "token", "--host", workspace.url, "--output", "json"]
    environ = {"PATH": os.defpath, "SOME_SECRET": "x", "http_proxy": "http://127.0.0.1:9"}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    token = json.loads(ran.stdout)
    assert claims_of(token["access_token"])["sub"] == "ada@example.com"
    (call,) = cli.calls
    assert call.arguments == ("auth", "token", "--host", workspace.url, "--output", "json")
    assert "SOME_SECRET" in call.environ
    assert not call.is_forced


def test_parallel_calls_share_one_token(workspace: WorkspaceThread, cli: FakeCli) -> None:
    command = [str(cli.program), "auth", "token", "--profile", "DEFAULT"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    tokens = {process.communicate()[0] for process in running}
    assert len(tokens) == 1
    assert len(cli.calls) == 4
    assert len(workspace.token_requests) == 1


def test_a_token_is_kept_until_it_nearly_ends(workspace: WorkspaceThread, cli: FakeCli, run: Printed) -> None:
    host = ("auth", "token", f"--host={workspace.url}/")
    first, second = token_in(run(*host)), token_in(run(*host, "-o", "json"))
    assert first == second
    assert 3_500 < left_s(first) <= 3_600
    forced = token_in(run(*host, "--force-refresh"))
    assert forced["access_token"] != first["access_token"]
    assert token_in(run(*host))["access_token"] == forced["access_token"]
    workspace.workspace.identities.lifetime_s = 9
    token_in(run(*host, "--force-refresh"))
    asked = len(workspace.token_requests)
    token_in(run(*host))
    assert len(workspace.token_requests) == asked + 1
    assert [call.is_forced for call in cli.calls] == [False, False, True, False, True, False]


def test_a_token_that_nearly_ends(workspace: WorkspaceThread, cli: FakeCli, run: Printed) -> None:
    cli.tell_left(12)
    host = ("auth", "token", "--host", workspace.url)
    assert 0 < left_s(token_in(run(*host))) <= 12
    assert left_s(token_in(run(*host, "--force-refresh"))) > 3_000
    cli.tell_left(None)
    assert left_s(token_in(run(*host))) > 3_000


def test_the_race_for_the_lock(workspace: WorkspaceThread, cli: FakeCli, run: Printed) -> None:
    cli.lock(2)
    host = ("auth", "token", "--host", workspace.url)
    assert run(*host) == (1, "", "Error: token refresh: cache update: exit status 45\n")
    assert run(*host, "--force-refresh")[2] == ("Error: forced token refresh: cache update: exit status 45\n")
    token_in(run(*host))


def test_not_signed_in(workspace: WorkspaceThread, cli: FakeCli, run: Printed) -> None:
    host = ("auth", "token", "--host", workspace.url)
    cli.log_out()
    assert run(*host)[2].startswith(NOT_CONFIGURED)
    cli.log_in("refresh-0")
    exit_code, _, err = run(*host)
    assert exit_code == 1
    assert "the refresh token is invalid" in err
    assert f"`databricks auth login --host {workspace.url}`" in err
    cli.log_in("refresh-1")
    token_in(run(*host))
    assert run("auth", "token", "--host", "https://elsewhere.invalid")[2].startswith(NOT_CONFIGURED)
    assert run("auth", "token")[2].startswith(NOT_CONFIGURED)


def test_a_program_that_says_something_else(workspace: WorkspaceThread, cli: FakeCli, run: Printed) -> None:
    host = ("auth", "token", "--host", workspace.url)
    cli.say("no JSON")
    assert run(*host) == (0, "no JSON\n", "")
    cli.say(None)
    token_in(run(*host))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(kind="reset"), "dial tcp: connection refused"),
        (Fault(kind="status", status=503), "cannot fetch token: 503"),
        (Fault(kind="garbage"), "JSONDecodeError"),
    ],
)
def test_a_token_endpoint_that_fails(
    workspace: WorkspaceThread, run: Printed, fault: Fault, said: str
) -> None:
    workspace.fail_tokens(fault)
    exit_code, _, err = run("auth", "token", "--host", workspace.url)
    assert exit_code == 1
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clusters", "list"], 'Error: unknown command "clusters list"'),
        (["auth", "token", "--odd"], "Error: unknown flag: --odd"),
        (["auth", "token", "--host"], "Error: flag needs an argument: --host"),
        (["auth", "token", "--output", "yaml"], 'Error: invalid argument "yaml"'),
        (["auth", "token", "--profile", "none"], "no none profile configured"),
    ],
)
def test_calls_that_are_not_understood(run: Printed, arguments: list[str], said: str) -> None:
    exit_code, out, err = run(*arguments)
    assert (exit_code, out) == (1, "")
    assert said in err


def test_an_older_program(
    workspace: WorkspaceThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Printed(capsys, FakeCli(tmp_path, workspace.url, "refresh-1", knows_force_refresh=False))
    assert run("--version")[1].startswith("Databricks CLI v")
    assert run("auth", "token", "--force-refresh")[2] == "Error: unknown flag: --force-refresh\n"
