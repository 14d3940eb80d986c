"""``ccr doctor`` against the sandbox's workspace: what is well, and each trap with its remedy."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import socket
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ccr.cli.doctor import port_finding
from ccr.cli.main import cli
from ccr.config.load import load_config
from ccr.config.model import Config, Network, Provider, Secret, SignIn
from ccr.config.paths import Paths
from ccr.daemon import health, identity
from ccr.daemon.identity import Found
from ccr.daemon.state import State
from ccr.errors import UpstreamError
from ccr.sandbox import Fault, WorkspaceThread
from ccr.setup.check_local import (
    certificate_finding,
    claude_finding,
    environment_findings,
    proxy_findings,
    retired_findings,
)
from ccr.setup.check_workspace import workspace_findings
from ccr.setup.proof import prove
from ccr.setup.workspaces import identity_of, signed_in
from tests.setup.test_workspaces import web_token
from tests.setup.workspaces import ME, TOKENS, ApiWorkspace, login_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SONNET = "databricks-claude-sonnet-4-5"
VARIABLES = (
    *("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"),
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    *("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SERVICE_PORT", "CLAUDE_PATH"),
    *("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@pytest.fixture
def workspace() -> Iterator[ApiWorkspace]:
    with WorkspaceThread(ApiWorkspace()) as running:
        assert isinstance(running.workspace, ApiWorkspace)
        yield running.workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("CCR_HOME", str(folder))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def configure(home: Path, url: str, *names: str, key: str, **more: Any) -> None:
    provider = {
        "name": "databricks",
        "api_base_url": f"{url}/serving-endpoints/{names[0]}/invocations",
        "api_key": key,
        "models": list(names),
        "transformer": {"use": ["databricks-custom"]},
    }
    document = {"PORT": free_port(), "Providers": [provider], "Router": {"default": f"databricks,{names[0]}"}}
    (home / "config.json").write_text(json.dumps(document | more))
    (home / "config.json").chmod(0o600)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False)


def checks_of(result: Result) -> dict[str, dict[str, str]]:
    return {each["check"]: each for each in json.loads(result.stdout)["checks"]}


def test_all_is_well(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET, "databricks-claude-opus-4-8", key=workspace.token)
    result = run()
    assert result.exit_code == 0
    assert "failed" not in result.output
    assert "warning" not in result.output
    for words in ("ada@example.com by api_key", "2.1.330", "is free", "agrees with", "answered in"):
        assert words in result.output
    assert workspace.token not in result.output
    assert workspace.refusals == []


def test_json_says_the_same(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET, key=workspace.token)
    document = json.loads(run("--json", "--no-calls").stdout)
    assert document["ok"] is True
    assert [each["check"] for each in document["checks"]] == [
        *("config", "models", "port", "claude", "proxies", "certificates", "environment"),
        *("host", "identity", "clock"),
    ]
    assert not [record for record in workspace.requests if record.method == "POST"]


def test_without_a_configuration_the_rest_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_PATH", "/nowhere/claude")
    result = run("--json")
    assert result.exit_code == 1
    checks = checks_of(result)
    assert checks["config"]["status"] == "failed"
    assert "ccr setup" in checks["config"]["remedy"]
    assert checks["claude"]["status"] == "warning"
    assert "npm install" in checks["claude"]["remedy"]


def test_every_fault_of_the_configuration_is_named(home: Path) -> None:
    configure(home, "dbc.example.com", SONNET, key="$NOT_SET_ANYWHERE")
    result = run()
    assert result.exit_code == 1
    assert "https:// at its start" in result.output
    assert "NOT_SET_ANYWHERE, which is not set" in result.output


def test_warnings_of_the_configuration_are_shown_and_do_not_fail(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET, key=workspace.token, Provider=1)
    result = run("--no-calls")
    assert result.exit_code == 0
    assert "is not known and has no effect" in result.output


def test_a_wrong_token_fails_the_identity_and_the_call(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET, key="dapi00112233445566778899aabbccddeeff")
    checks = checks_of(run("--json"))
    assert checks["host"]["status"] == "ok"
    assert checks["identity"]["status"] == "failed"
    assert "ccr setup" in checks["identity"]["remedy"]
    assert checks[f"call databricks,{SONNET}"]["status"] == "failed"
    assert "identity" in checks[f"call databricks,{SONNET}"]["remedy"]
    assert "dapi0011" not in json.dumps(checks)


def test_a_login_page_is_a_wrong_url(home: Path, workspace: ApiWorkspace) -> None:
    workspace.answers[ME] = login_page(303)
    configure(home, workspace.url, SONNET, key=workspace.token)
    checks = checks_of(run("--json", "--no-calls"))
    assert checks["host"]["status"] == "failed"
    assert "not the workspace's own URL" in checks["host"]["text"]
    assert "ccr setup --host" in checks["host"]["remedy"]


@pytest.mark.parametrize("answer", [({}, 404), ({"message": "required scopes: scim"}, 403)])
def test_an_identity_that_the_workspace_does_not_name_is_a_warning(
    home: Path, workspace: ApiWorkspace, answer: tuple[Any, ...]
) -> None:
    workspace.answers[ME] = answer
    configure(home, workspace.url, SONNET, key=workspace.token)
    result = run("--json")
    assert result.exit_code == 0
    assert checks_of(result)["identity"]["status"] == "warning"


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (
            Fault(
                kind="status",
                status=403,
                body={
                    "error_code": "PERMISSION_DENIED",
                    "message": "temporarily disabled due to a Databricks-set rate limit of 0.",
                },
            ),
            "failed",
            "does not offer the model",
        ),
        (Fault(kind="status", status=429), "warning", "wait a minute"),
        (Fault(kind="redirect"), "failed", "`host`"),
        (Fault(kind="status", status=404), "failed", "ccr models --refresh"),
    ],
)
def test_a_model_that_does_not_answer(
    home: Path, workspace: ApiWorkspace, fault: Fault, status: str, words: str
) -> None:
    workspace.answers[f"/serving-endpoints/{SONNET}/invocations"] = _canned(fault)
    configure(home, workspace.url, SONNET, key=workspace.token)
    result = run("--json")
    call = checks_of(result)[f"call databricks,{SONNET}"]
    assert call["status"] == status
    assert words in call["remedy"]
    assert result.exit_code == (1 if status == "failed" else 0)


def _canned(fault: Fault) -> tuple[Any, ...]:
    if fault.kind == "redirect":
        return login_page(303)
    body = fault.body if fault.body is not None else {"error_code": "X", "message": "nothing"}
    return (body, fault.status)


async def test_a_model_that_never_answers_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/serving-endpoints/x/invocations"
        provider = Provider(name="p", url=url, api_key=Secret("t"), models=("x",))
        proofs = await prove(Config(providers=(provider,)), ["p,x"], deadline_s=0.05)
    assert proofs[0].error == "no answer within 0 s"


def test_a_host_that_does_not_answer(home: Path) -> None:
    configure(home, f"http://127.0.0.1:{free_port()}", SONNET, key="t")
    checks = checks_of(run("--json"))
    assert checks["host"]["status"] == "failed"
    assert "PROXY_URL" in checks["host"]["remedy"]
    assert checks[f"call databricks,{SONNET}"]["status"] == "failed"


# --- the workspace's checks, with a clock and tokens of their own


def findings(
    workspace: ApiWorkspace,
    provider: Provider,
    *,
    ahead_s: float = 0.0,
    environ: dict[str, str] | None = None,
) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).timestamp() + ahead_s
    found = asyncio.run(workspace_findings(Config(), workspace.url, provider, environ or {}, lambda: now))
    return {each.check: each for each in found}


def provider_of(workspace: ApiWorkspace, token: Secret | None = None) -> Provider:
    url = f"{workspace.url}/serving-endpoints/x/invocations"
    return Provider(name="p", url=url, api_key=token, models=("x",))


@pytest.mark.parametrize(
    ("ahead_s", "status", "words"),
    [
        (0, "ok", "agrees"),
        (120, "warning", "ahead of"),
        (-120, "warning", "behind"),
        (900, "failed", "900 s"),
    ],
)
def test_the_clock(workspace: ApiWorkspace, ahead_s: float, status: str, words: str) -> None:
    clock = findings(workspace, provider_of(workspace, Secret(workspace.token)), ahead_s=ahead_s)["clock"]
    assert clock.status == status
    if ahead_s != 900:
        assert words in clock.text


@pytest.mark.parametrize(
    ("left_s", "status", "words"),
    [(36_000, "ok", "the token ends"), (60, "warning", "the token ends"), (-60, "warning", "ended")],
)
def test_when_the_token_ends(workspace: ApiWorkspace, left_s: int, status: str, words: str) -> None:
    token = web_token({"exp": int(dt.datetime.now(dt.UTC).timestamp()) + left_s})
    workspace.token = token.reveal()
    found = findings(workspace, provider_of(workspace, token))["identity"]
    assert found.status == status
    assert words in found.text


def test_an_identity_that_is_not_there(workspace: ApiWorkspace) -> None:
    environ = {"DATABRICKS_CONFIG_PROFILE": "nobody"}
    assert findings(workspace, provider_of(workspace), environ=environ)["identity"].status == "failed"


def test_a_sign_in_that_is_refused(workspace: ApiWorkspace) -> None:
    environ = principal(workspace)
    workspace.answers[TOKENS] = ({"error": "invalid_client"}, 401)
    assert findings(workspace, provider_of(workspace), environ=environ)["identity"].status == "failed"


async def test_the_user_of_each_request_is_nobody_here(
    workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = replace(provider_of(workspace), sign_in=SignIn(on_behalf_of_user=True))
    with pytest.raises(UpstreamError) as caught:
        await identity_of(provider, {})
    assert caught.value.status == 403

    async def nobody(*_: Any, **__: Any) -> Any:
        raise caught.value

    monkeypatch.setattr("ccr.setup.check_workspace.identity_of", nobody)
    found = await workspace_findings(Config(), workspace.url, provider, {}, lambda: 0.0)
    assert [(each.check, each.status) for each in found] == [("identity", "warning")]


async def test_a_token_of_a_profile_has_no_known_end(workspace: ApiWorkspace, home: Path) -> None:
    file = home / "profiles"
    file.write_text(f"[DEFAULT]\nhost = {workspace.url}\ntoken = {workspace.token}\n")
    environ = {"DATABRICKS_CONFIG_FILE": str(file)}
    identity = await identity_of(provider_of(workspace), environ)
    assert (identity.token.reveal(), identity.expires_at, identity.renews) == (workspace.token, None, False)


def test_a_service_principal_is_signed_in_and_renewed(workspace: ApiWorkspace) -> None:
    environ = principal(workspace)
    found = findings(workspace, provider_of(workspace), environ=environ)["identity"]
    assert found.status == "ok"
    assert "oauth-m2m" in found.text
    assert "is renewed by itself" in found.text
    asked = [record for record in workspace.requests if record.path == TOKENS]
    assert len(asked) == 1


async def test_calls_are_made_as_the_identity_that_was_found(workspace: ApiWorkspace) -> None:
    url = f"{workspace.url}/serving-endpoints/{SONNET}/invocations"
    provider = Provider(name="p", url=url, api_key=None, models=(SONNET,))
    config = Config(providers=(provider,))
    signed = await signed_in(config, principal(workspace))
    assert (await prove(signed, [f"p,{SONNET}"]))[0].error is None
    assert await signed_in(config, {"DATABRICKS_CONFIG_PROFILE": "nobody"}) == config


def principal(workspace: ApiWorkspace) -> dict[str, str]:
    granted = {"access_token": workspace.token, "token_type": "Bearer", "expires_in": 3600}
    workspace.answers[TOKENS] = (granted,)
    return {
        "DATABRICKS_HOST": workspace.url,
        "DATABRICKS_CLIENT_ID": "an-id",
        "DATABRICKS_CLIENT_SECRET": "a-secret",
    }


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("The TLS certificate of x cannot be verified", "CA_FILE"),
        ("x answered with a web page", "--host"),
        ("the proxy cannot be reached", "PROXY_URL"),
        ("the name cannot be resolved", "network"),
    ],
)
def test_the_remedy_fits_the_failure(message: str, words: str) -> None:
    from ccr.setup.check_workspace import _remedy_of_host

    assert words in _remedy_of_host(UpstreamError(502, message))


# --- this machine's checks


def test_retired_models() -> None:
    provider = Provider(name="p", url="https://x/y", api_key=None, models=("databricks-claude-sonnet-4",))
    config = Config(providers=(provider,))
    assert "retired on" in retired_findings(config, dt.date(2026, 11, 1))[0].text
    assert "retires on" in retired_findings(config, dt.date(2026, 9, 1))[0].text
    assert retired_findings(config, dt.date(2026, 1, 1))[0].status == "ok"


@pytest.mark.parametrize(
    ("script", "words"),
    [("exit 3", "fails (3)"), ("exit 0", "fails (0)"), ("sleep 5", "does not end")],
)
def test_a_claude_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setattr("ccr.setup.check_local.VERSION_WAIT_S", 0.3)
    program = tmp_path / "broken"
    program.write_text(f"#!/bin/sh\nexec {script}\n" if "sleep" in script else f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = claude_finding(str(program), os.environ)
    assert (found.status, words in found.text) == ("failed", True)


def test_a_claude_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert "cannot be run" in claude_finding(str(tmp_path), os.environ).text


@pytest.mark.parametrize(
    ("environ", "proxy_url", "statuses"),
    [
        ({}, None, ["ok"]),
        ({}, "http://proxy:1", ["ok"]),
        ({"HTTPS_PROXY": "http://p:1"}, None, ["warning", "warning"]),
        ({"https_proxy": "http://p:1", "NO_PROXY": "x, localhost"}, None, ["warning"]),
        ({"ALL_PROXY": "http://p:1", "no_proxy": "127.0.0.1"}, "http://proxy:1", ["ok"]),
    ],
)
def test_proxies(environ: dict[str, str], proxy_url: str | None, statuses: list[str]) -> None:
    provider = Provider(name="p", url="https://x/y", api_key=None, models=("m",))
    config = Config(providers=(provider,), proxy_url=Secret(proxy_url) if proxy_url else None)
    assert [each.status for each in proxy_findings(config, environ)] == statuses


def test_a_proxy_of_a_provider_s_own() -> None:
    own = Network(proxy=Secret("http://me:secret@proxy:1"))
    provider = Provider(name="p", url="https://x/y", api_key=None, models=("m",), network=own)
    (found,) = proxy_findings(
        Config(providers=(provider,)), {"HTTPS_PROXY": "http://q:1", "NO_PROXY": "localhost"}
    )
    assert (found.status, "a proxy of its own for p" in found.text) == ("ok", True)
    assert "secret" not in found.text


def test_certificates(tmp_path: Path) -> None:
    assert certificate_finding({}).status == "ok"
    assert certificate_finding({"SSL_CERT_FILE": str(tmp_path)}).status == "ok"
    assert certificate_finding({"SSL_CERT_DIR": str(tmp_path / "gone")}).status == "failed"
    own = Network(ca_file="/own.pem")
    provider = Provider(name="p", url="https://x/y", api_key=None, models=("m",), network=own)
    config = Config(providers=(provider,), ca_files=("/all.pem",))
    named = certificate_finding({"CURL_CA_BUNDLE": "/x"}, config)
    assert (named.status, named.text.endswith("authorities and /all.pem, /own.pem")) == ("ok", True)
    other = certificate_finding({"REQUESTS_CA_BUNDLE": "/x"})
    assert (other.status, '"CA_FILE": "$REQUESTS_CA_BUNDLE"' in other.remedy) == ("warning", True)


@pytest.mark.parametrize(
    ("environ", "status", "words"),
    [
        ({}, "ok", "contradicts"),
        ({"DATABRICKS_HOST": "dbc.example.com"}, "ok", "without https://"),
        ({"DATABRICKS_HOST": "https://dbc.example.com/"}, "ok", "DATABRICKS_HOST is https://dbc"),
        ({"DATABRICKS_HOST": "https://other.example.com"}, "warning", "no provider"),
        ({"DATABRICKS_HOST": "ftp://x"}, "failed", "DATABRICKS_HOST"),
        (
            dict.fromkeys(("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"), "x"),
            "warning",
            "two identities",
        ),
    ],
)
def test_the_databricks_variables(environ: dict[str, str], status: str, words: str) -> None:
    found = environment_findings(environ, ["https://dbc.example.com"])
    assert (found[0].status, words in found[0].text) == (status, True)


# --- the port


def port_of(home: Path, port: int, monkeypatch: pytest.MonkeyPatch, found: Found | None = None) -> Any:
    configure(home, "http://127.0.0.1:9", SONNET, key="t", PORT=port)
    paths = Paths(home)
    if found is not None:
        monkeypatch.setattr(identity, "find_service", lambda *_: found)
    return port_finding(paths, load_config(paths, {}))


def test_a_free_port_and_any_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is free" in port_of(home, free_port(), monkeypatch).text
    assert "any free one" in port_of(home, 0, monkeypatch).text


def test_a_port_of_another_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = port_of(home, port, monkeypatch)
        assert (found.status, f"process {os.getpid()}" in found.text) == ("failed", True)
        hung = port_of(home, port, monkeypatch, Found("unresponsive"))
        assert (hung.status, hung.remedy) == ("failed", "`ccr restart`")
        monkeypatch.setattr(identity, "find_service", lambda *_: Found("stopped"))
        monkeypatch.setattr("ccr.daemon.process.holder_of_port", lambda _: None)
        monkeypatch.setattr(health, "ask_health", lambda *_: health.Health("foreign"))
        other = port_finding(Paths(home), load_config(Paths(home), {}))
        assert "another user" in other.text


def test_a_port_where_ccr_serves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(
        pid=7, start_time=1, instance="i", address="http://127.0.0.1:3456", started_at=0.0, version="1"
    )
    found = port_of(home, 3456, monkeypatch, Found("running", state))
    assert (found.status, found.text) == ("ok", "ccr serves at http://127.0.0.1:3456 (process 7)")
