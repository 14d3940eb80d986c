"""``ccr models`` against the sandbox's workspace, and without any."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ccr.cli.main import cli
from ccr.errors import StartError
from ccr.sandbox import WorkspaceThread
from tests.setup.workspaces import FOUNDATION_MODELS, ApiWorkspace, foundation_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SONNET = "databricks-claude-sonnet-4-5"
RETIRED = "databricks-claude-sonnet-4"


@pytest.fixture
def workspace() -> Iterator[ApiWorkspace]:
    fake = ApiWorkspace(models=(SONNET, RETIRED, "databricks-claude-opus-4-8"))
    fake.answers[FOUNDATION_MODELS] = ({"endpoints": [foundation_model("databricks-gpt-oss-120b")]},)
    with WorkspaceThread(fake):
        yield fake


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCR_HOME", str(tmp_path))
    monkeypatch.delenv("SERVICE_PORT", raising=False)
    return tmp_path


def configure(home: Path, url: str, *names: str, key: str = "sandbox-token-not-a-secret") -> None:
    provider = {
        "name": "databricks",
        "api_base_url": f"{url}/serving-endpoints/{names[0]}/invocations",
        "api_key": key,
        "models": list(names),
    }
    config: dict[str, Any] = {
        "Providers": [provider],
        "Router": {"default": f"databricks,{names[0]}"},
    }
    (home / "config.json").write_text(json.dumps(config))
    (home / "config.json").chmod(0o600)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments], catch_exceptions=False)


def line_of(output: str, name: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(name))


def test_configured_and_served_models_with_their_facts(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET, RETIRED, "databricks-claude-gone")
    result = run()
    assert result.exit_code == 0
    assert line_of(result.output, f"{SONNET} *").split() == [
        *(SONNET, "*", "databricks", "200K", "64K", "budget", "3.00", "15.00", "ready")
    ]
    assert line_of(result.output, RETIRED + " ").endswith("RETIRED 2026-10-09")
    assert line_of(result.output, "databricks-claude-gone").endswith("not served")
    assert "1M" in line_of(result.output, "databricks-claude-opus-4-8")
    assert line_of(result.output, "databricks-gpt-oss-120b").split() == [
        *("databricks-gpt-oss-120b", "-", "128K", "-", "-", "-", "-", "-")
    ]
    assert stat.S_IMODE((home / "models.json").stat().st_mode) == 0o600
    assert workspace.token not in (home / "models.json").read_text()


def test_a_workspace_is_asked_once_and_again_on_request(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET)
    run()
    asked = len(workspace.requests)
    assert run().exit_code == 0
    assert len(workspace.requests) == asked
    assert run("--refresh").exit_code == 0
    assert len(workspace.requests) == 2 * asked


def test_json_has_every_figure(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET)
    document = json.loads(run("--json").stdout)
    assert document["models"][0] == {
        "name": SONNET,
        "provider": "databricks",
        "workspace": workspace.url,
        "is_default": True,
        "state": "ready",
        "context_tokens": 200_000,
        "max_output_tokens": 64_000,
        "thinking": ["budget"],
        "usd_input": 3.0,
        "usd_output": 15.0,
        "retires": None,
        "is_retired": False,
    }
    assert document["workspaces"][0]["url"] == workspace.url
    assert document["problems"] == []


def test_without_a_network_the_configured_models_are_shown(home: Path) -> None:
    configure(home, "http://127.0.0.1:9", SONNET)
    result = run("--offline")
    assert (result.exit_code, result.stderr) == (0, "")
    assert line_of(result.output, SONNET).endswith("-")
    result = run()
    assert result.exit_code == 0
    assert "127.0.0.1:9" in result.stderr
    assert SONNET in result.stdout


def test_what_was_remembered_is_shown_when_a_refresh_fails(home: Path, workspace: ApiWorkspace) -> None:
    configure(home, workspace.url, SONNET)
    run()
    configure(home, workspace.url, SONNET, key="other")
    result = run("--refresh")
    assert result.exit_code == 1
    assert "refused this identity" in result.stderr
    assert "databricks-claude-opus-4-8" in result.stdout
    assert "databricks-claude-opus-4-8" in run("--offline").stdout


def test_another_provider_is_listed_and_not_asked(home: Path) -> None:
    provider = {
        "name": "other",
        "api_base_url": "http://127.0.0.1:9/v1/chat/completions",
        "models": ["some-model"],
    }
    document = {"Providers": [provider], "Router": {"default": "other,some-model"}}
    (home / "config.json").write_text(json.dumps(document))
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "some-model *" in result.stdout


def test_an_identity_that_is_not_there_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(home / "profiles"))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "nobody")
    configure(home, "http://127.0.0.1:9", SONNET)
    document = json.loads((home / "config.json").read_text())
    del document["Providers"][0]["api_key"]
    (home / "config.json").write_text(json.dumps(document))
    assert "nobody" in run().stderr


def test_wrong_use_and_no_configuration_are_errors() -> None:
    assert run("--refresh", "--offline").exit_code == 2
    with pytest.raises(StartError):
        run()
