"""``ccr setup`` against the sandbox's workspace, asked and unasked."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from click.testing import CliRunner, Result

from ccr.cli import setup_writing
from ccr.cli.main import cli
from ccr.config.load import load_config
from ccr.config.paths import Paths
from ccr.daemon import identity
from ccr.daemon.identity import Found
from ccr.errors import ConfigError, StartError
from ccr.sandbox import WorkspaceThread
from ccr.upstream.discovered import read_discovered
from tests.setup.workspaces import FOUNDATION_MODELS, ME, MODEL_SERVICES, TOKENS, ApiWorkspace, login_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDPOINTS = "/api/2.0/serving-endpoints"
SONNET, OPUS = "databricks-claude-sonnet-5", "databricks-claude-opus-4-8"
HAIKU, OLD_SONNET = "databricks-claude-haiku-4-5", "databricks-claude-sonnet-4-6"
TOKEN = "dapi00112233445566778899aabbccddeeff"
VARIABLES = (*("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "AUTH_TYPE", "CONFIG_PROFILE", "CONFIG_FILE"),)


@pytest.fixture
def workspace() -> Iterator[ApiWorkspace]:
    with WorkspaceThread(ApiWorkspace(token=TOKEN)) as running:
        assert isinstance(running.workspace, ApiWorkspace)
        yield running.workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.delenv("CCR_HOME", raising=False)
    monkeypatch.delenv("SERVICE_PORT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    return tmp_path


def config_file(home: Path) -> Path:
    return home / ".claude-code-router" / "config.json"


def document(home: Path) -> Any:
    return json.loads(config_file(home).read_text())


def run(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(cli, ["setup", *arguments], input=answers, catch_exceptions=False)


def refuse(workspace: ApiWorkspace, model: str, status: int = 403) -> None:
    said = {"error_code": "PERMISSION_DENIED", "message": "Databricks-set rate limit of 0."}
    workspace.answers[f"/serving-endpoints/{model}/invocations"] = (said, status)


def unattended(workspace: ApiWorkspace, *more: str) -> Result:
    return run("--host", workspace.url, "--token-env", "MY_TOKEN", "--yes", *more)


def test_unattended_the_best_of_each_family_is_proven_and_written(
    home: Path, workspace: ApiWorkspace
) -> None:
    result = unattended(workspace)
    assert result.exit_code == 0
    assert document(home) == {
        "Providers": [
            {
                "name": "databricks",
                "api_base_url": f"{workspace.url}/serving-endpoints/{SONNET}/invocations",
                "api_key": "$MY_TOKEN",
                "models": [SONNET, OPUS, HAIKU],
                "transformer": {"use": ["databricks-custom"]},
            }
        ],
        "Router": {"default": f"databricks,{SONNET}"},
    }
    assert stat.S_IMODE(config_file(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(config_file(home).parent.stat().st_mode) == 0o700
    calls = [record.body for record in workspace.requests if record.method == "POST"]
    assert len(calls) == 3
    assert all(call["max_tokens"] == 1 for call in calls)
    # a workspace may lack one of the lists of models; nothing else may be refused
    assert {refusal.status for refusal in workspace.refusals} <= {404}
    for words in ("ada@example.com", "MY_TOKEN has to be set", "ccr code", f"+++ {config_file(home)}"):
        assert words in result.output
    assert TOKEN not in result.output + config_file(home).read_text()
    assert not (home / ".bashrc").exists()
    paths = Paths(config_file(home).parent)
    assert load_config(paths, os.environ).warnings == ()
    assert SONNET in {model.name for model in read_discovered(paths)[workspace.url].models}


def test_a_second_run_changes_nothing(home: Path, workspace: ApiWorkspace) -> None:
    unattended(workspace)
    before = config_file(home).stat()
    result = unattended(workspace)
    assert (result.exit_code, "says this already" in result.output) == (0, True)
    assert config_file(home).stat().st_mtime_ns == before.st_mtime_ns
    assert list(config_file(home).parent.glob("*.bak-*")) == []


def test_every_question_can_be_answered(home: Path, workspace: ApiWorkspace) -> None:
    answers = f"nonsense url\n{workspace.url}/?o=1\nMY_TOKEN\n{OPUS}, {HAIKU}\ny\n"
    result = run(answers=answers)
    assert result.exit_code == 0
    assert "a URL holds no spaces" in result.output
    assert document(home)["Providers"][0]["models"] == [OPUS, HAIKU]
    assert document(home)["Router"]["default"] == f"databricks,{OPUS}"


def test_accepting_what_is_proposed(
    home: Path, workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    result = run("--alias", answers="\n\ny\ny\n")
    assert result.exit_code == 0
    assert document(home)["Providers"][0]["api_key"] == "$DATABRICKS_TOKEN"
    assert 'alias cc="' in (home / ".bashrc").read_text()


def test_declining_writes_nothing(home: Path, workspace: ApiWorkspace) -> None:
    arguments = ("--host", workspace.url, "--token-env", "MY_TOKEN", "--alias")
    result = run(*arguments, answers="\nn\nn\n")
    assert result.exit_code == 0
    assert "Nothing was written" in result.output
    assert not config_file(home).exists()
    assert read_discovered(Paths(config_file(home).parent)) == {}
    assert not (home / ".bashrc").exists()


def test_a_refused_model_gives_way_to_the_next_of_its_family(home: Path, workspace: ApiWorkspace) -> None:
    refuse(workspace, SONNET)
    for model in (OPUS, "databricks-claude-opus-4-6", "databricks-claude-opus-4-5"):
        refuse(workspace, model)
    result = unattended(workspace)
    assert document(home)["Providers"][0]["models"] == [OLD_SONNET, HAIKU]
    assert f"{SONNET}: " in result.output
    assert "rate limit of 0" in result.output


def test_a_busy_model_is_taken_and_told(home: Path, workspace: ApiWorkspace) -> None:
    workspace.answers[f"/serving-endpoints/{SONNET}/invocations"] = ({"message": "tokens per minute"}, 429)
    result = unattended(workspace)
    assert document(home)["Providers"][0]["models"][0] == SONNET
    assert "tokens per minute" in result.output


def test_without_any_model_that_answers_nothing_is_written(home: Path, workspace: ApiWorkspace) -> None:
    for model in workspace.models:
        refuse(workspace, model)
    with pytest.raises(StartError, match="No model answered"):
        unattended(workspace)
    assert not config_file(home).exists()


def test_named_models_have_to_answer(home: Path, workspace: ApiWorkspace) -> None:
    refuse(workspace, OPUS)
    with pytest.raises(StartError, match="does not answer"):
        unattended(workspace, "--model", HAIKU, "--model", OPUS)
    arguments = ("--host", workspace.url, "--token-env", "MY_TOKEN", "--model", HAIKU, "--model", OPUS)
    assert run(*arguments, answers="y\ny\n").exit_code == 0
    assert document(home)["Providers"][0]["models"] == [HAIKU]
    with pytest.raises(StartError, match="No model is left"):
        run(*arguments[:4], "--model", OPUS, answers="y\n")


def test_without_proof_nothing_is_called(home: Path, workspace: ApiWorkspace) -> None:
    assert unattended(workspace, "--no-proof").exit_code == 0
    assert document(home)["Providers"][0]["models"][0] == SONNET
    assert unattended(workspace, "--no-proof", "--model", "later").exit_code == 0
    assert document(home)["Providers"][0]["models"] == ["later"]
    assert [record for record in workspace.requests if record.method == "POST"] == []


def test_what_stands_in_the_file_stays(home: Path, workspace: ApiWorkspace) -> None:
    other = {"name": "other", "api_base_url": "https://x.example.com/v1", "api_key": "k", "models": ["m"]}
    old = {"name": "Databricks", "models": ["gone"], "transformer": {"use": []}, "api_key": "$OLD"}
    written = {
        "PORT": 4567,
        "Providers": [old, other],
        "Router": {"default": "databricks,gone", "think": "other,m"},
    }
    config_file(home).parent.mkdir()
    text = "// mine\n" + json.dumps(written)
    config_file(home).write_text(text)
    result = unattended(workspace)
    assert result.exit_code == 0
    assert "comments in the present file" in result.output
    found = document(home)
    assert found["PORT"] == 4567
    assert [each["name"] for each in found["Providers"]] == ["databricks", "other"]
    assert found["Providers"][0]["transformer"] == {"use": []}
    assert found["Providers"][1] == other
    assert found["Router"] == {"default": f"databricks,{SONNET}", "think": "other,m"}
    [backup] = config_file(home).parent.glob("config.json.bak-*")
    assert backup.read_text() == text
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert '"k"' not in result.output


@pytest.mark.parametrize("more", [(), ("--no-proof",)])
def test_further_models_that_still_work_stay(
    home: Path, workspace: ApiWorkspace, more: tuple[str, ...]
) -> None:
    unattended(workspace, "--model", OLD_SONNET, "--model", "databricks-claude-opus-4-6")
    refuse(workspace, "databricks-claude-opus-4-6")
    result = unattended(workspace, *more)
    kept = [OLD_SONNET] if not more else [OLD_SONNET, "databricks-claude-opus-4-6"]
    assert f"Kept       {', '.join(kept)}" in result.output
    assert document(home)["Providers"][0]["models"] == [SONNET, OPUS, HAIKU, *kept]
    assert document(home)["Router"]["default"] == f"databricks,{OLD_SONNET}"
    assert "says this already" in unattended(workspace, *more).output


def test_the_newest_backups_are_kept(home: Path, workspace: ApiWorkspace) -> None:
    for number in range(8):
        unattended(workspace, "--no-proof", "--model", f"model-{number}")
    backups = sorted(config_file(home).parent.glob("config.json.bak-*"))
    assert [json.loads(each.read_text())["Providers"][0]["models"][0] for each in backups] == [
        f"model-{number}" for number in range(2, 7)
    ]


@pytest.mark.parametrize("text", ["{broken", "[1]"])
def test_a_file_that_cannot_be_read_is_left_alone(home: Path, workspace: ApiWorkspace, text: str) -> None:
    config_file(home).parent.mkdir()
    config_file(home).write_text(text)
    with pytest.raises(StartError, match="--replace"):
        unattended(workspace)
    assert config_file(home).read_text() == text
    assert unattended(workspace, "--replace").exit_code == 0
    assert document(home)["Router"]["default"] == f"databricks,{SONNET}"


def test_problems_in_the_rest_of_the_file_stop_it(home: Path, workspace: ApiWorkspace) -> None:
    config_file(home).parent.mkdir()
    config_file(home).write_text('{"PORT": "many", "Providers": []}')
    with pytest.raises(ConfigError, match="PORT"):
        unattended(workspace)


def test_the_way_there_is_written_and_shown_without_its_password(
    home: Path, workspace: ApiWorkspace, tmp_path: Path
) -> None:
    ca_file = tmp_path / "company.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    proxy = "http://me:canary-password@127.0.0.1:9"  # not asked for this machine
    result = unattended(workspace, "--proxy", proxy, "--ca-file", str(ca_file))
    assert result.exit_code == 0, result.output
    assert "canary-password" not in result.output
    assert '+  "CA_FILE"' in result.output
    written = document(home)
    assert (written["PROXY_URL"], written["CA_FILE"]) == (proxy, str(ca_file))
    again = unattended(workspace, "--proxy", "none")
    assert again.exit_code == 0
    assert document(home) == {**written, "PROXY_URL": "none"}


def test_a_workspace_that_is_not_reached_names_what_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    asked = ("--host", f"http://127.0.0.1:{port}", "--token-env", "MY_TOKEN", "--yes")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StartError) as caught:
        run(*asked)
    assert "--proxy" not in str(caught.value)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with pytest.raises(StartError, match=r"ALL_PROXY is set, .* --proxy env"):
        run(*asked)
    with pytest.raises(StartError) as caught:
        run(*asked, "--proxy", "env")
    assert "only when told to" not in str(caught.value)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener, context), daemon=True)
        thread.start()
        with pytest.raises(StartError, match="--ca-file FILE"):
            run("--host", f"https://127.0.0.1:{listener.getsockname()[1]}", *asked[2:])
        thread.join(10)


def greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one connection and begin TLS on it."""
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        context.wrap_socket(connection, server_side=True).close()


@pytest.mark.fault("L112", outcome="a linked config.json is read, and written where it leads")
def test_a_link_to_the_file_stays_a_link(home: Path, workspace: ApiWorkspace) -> None:
    kept = home / "dotfiles.json"
    kept.write_text("{}")
    config_file(home).parent.mkdir()
    config_file(home).symlink_to(kept)
    assert unattended(workspace).exit_code == 0
    assert config_file(home).is_symlink()
    assert json.loads(kept.read_text())["Router"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--yes",), "--host"),
        (("--yes", "--host", "https://x.example.com"), "--token-env"),
        (("--yes", "--profile", "p", "--auth", "auto"), "exclude each other"),
        (("--yes", "--host", "https://x.example.com", "--store-token"), "--store-token needs"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_a_token_is_written_only_when_asked(home: Path, workspace: ApiWorkspace) -> None:
    result = unattended(workspace, "--store-token")
    assert result.exit_code == 0
    assert document(home)["Providers"][0]["api_key"] == TOKEN
    assert TOKEN not in result.output
    config_file(home).unlink()
    run("--host", workspace.url, "--store-token", answers=f"{TOKEN}\n\ny\n")
    assert document(home)["Providers"][0]["api_key"] == TOKEN


def test_a_login_page_and_a_refused_identity_are_explained(workspace: ApiWorkspace) -> None:
    workspace.answers[ME] = login_page(303)
    with pytest.raises(StartError, match="not the workspace's own URL"):
        unattended(workspace)
    workspace.answers = {}
    workspace.token = "another"
    with pytest.raises(StartError, match="refused this identity"):
        unattended(workspace)


def test_an_identity_that_may_only_call_models(home: Path, workspace: ApiWorkspace) -> None:
    closed: tuple[Any, ...] = ({"message": "required scopes: all-apis"}, 403)
    for path in (ME, ENDPOINTS, FOUNDATION_MODELS, MODEL_SERVICES):
        workspace.answers[path] = closed
    with pytest.raises(StartError, match="--model"):
        unattended(workspace)
    result = unattended(workspace, "--model", HAIKU)
    assert result.exit_code == 0
    assert "note: " in result.output
    workspace.answers[ENDPOINTS] = ({"message": "broken"}, 500)
    for path in (FOUNDATION_MODELS, MODEL_SERVICES):
        workspace.answers[path] = ({"message": "broken"}, 500)
    with pytest.raises(StartError, match="500"):
        unattended(workspace)


def test_a_running_service_is_to_be_restarted(
    workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "find_service", lambda *_: Found("unresponsive"))
    assert "ccr restart && ccr code" in unattended(workspace).output


# --- devbox


def devbox(workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    return run("--devbox", *more)


def test_devbox_needs_the_environment_alone(
    home: Path, workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".zshrc").write_text("setopt x")
    assert devbox(workspace, monkeypatch).exit_code == 0
    assert document(home)["Providers"][0]["api_key"] == "$DATABRICKS_TOKEN"
    for name in (".bashrc", ".zshrc"):
        assert (home / name).read_text().count("alias cc=") == 1
    snapshot = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    result = devbox(workspace, monkeypatch)
    assert result.exit_code == 0
    assert "in the shell files already" in result.output
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == snapshot
    assert not any(TOKEN.encode() in data for data in snapshot.values())


def test_devbox_with_a_service_principal_writes_no_secret(
    home: Path, workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.answers[TOKENS] = ({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600},)
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "an-id")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "a-client-secret")
    monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
    result = run("--devbox")
    assert result.exit_code == 0
    assert document(home)["Providers"][0]["api_key"] == "auto"
    written = config_file(home).read_text() + result.output
    assert TOKEN not in written
    assert "a-client-secret" not in written
    assert len([record for record in workspace.requests if record.path == TOKENS]) == 1


def test_a_profile_is_enough(home: Path, workspace: ApiWorkspace) -> None:
    (home / ".databrickscfg").write_text(f"[dev]\nhost = {workspace.url}\ntoken = {TOKEN}\n")
    for arguments in (("--yes",), ("--yes", "--profile", "dev")):
        assert run(*arguments).exit_code == 0
        provider = document(home)["Providers"][0]
        assert (provider["api_key"], provider["profile"]) == ("auto", "dev")


def test_devbox_without_alias(home: Path, workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devbox(workspace, monkeypatch, "--no-alias").exit_code == 0
    assert not (home / ".bashrc").exists()


def test_claude_is_installed_when_it_is_missing(
    home: Path, workspace: ApiWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = home / "tools"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text(
        f'#!/bin/sh\nenv > {home}/npm-env\necho "$@" > {home}/npm-args\n'
        f"printf '#!/bin/sh\\n' > {tools}/claude\nchmod +x {tools}/claude\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    result = devbox(workspace, monkeypatch, "--install-claude")
    assert result.exit_code == 0
    assert f"{tools}/claude" in result.output
    assert (home / "npm-args").read_text().split() == ["install", "-g", "@anthropic-ai/claude-code"]
    assert TOKEN not in (home / "npm-env").read_text()
    assert "is there already" in devbox(workspace, monkeypatch, "--install-claude").output


def test_claude_can_be_asked_for_before_anything_was_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = home / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(home))
    setup_writing.install_claude_if_missing(Paths(home / "nothing"))
