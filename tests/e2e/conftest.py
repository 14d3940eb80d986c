"""A ccr service of its own for each session, between the real client and the strict sandbox.

Modules marked with ``BOTH_WAYS`` run twice: with the built-in ``databricks-custom``, and with the
configuration that Databricks Devbox writes, whose JavaScript file is forced to run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, Workspace, WorkspaceThread
from tests.e2e import claude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CCR = Path(sys.executable).with_name("ccr")
KEY = "local-key-of-the-end-to-end-tests"
MODELS = [
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
]
BUILT_IN, DEVBOX_JS = "built-in", "devbox.js"
BOTH_WAYS = pytest.mark.parametrize("steps", [BUILT_IN, DEVBOX_JS])
"""Whose ``databricks-custom`` changes the requests: see the fixture ``steps``."""
DEVBOX = Path(__file__).parents[1] / "dropin/folders/devbox"


@dataclass
class Service:
    """A running ccr and the workspace behind it."""

    home: Path
    address: str
    workspace: WorkspaceThread
    folder: Path
    steps: str = BUILT_IN
    workspace_is_gone: bool = False

    def ccr(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run the command line against this service."""
        environment = {**os.environ, "CCR_HOME": str(self.home), **extra}
        if self.steps == DEVBOX_JS:  # the file writes below the person's folder
            environment["HOME"] = str(self.home.parent)
        return subprocess.run(
            [str(CCR), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def claude(self, prompt: str, *, model: str = MODELS[0], **options: Any) -> claude.Session:
        """Run the client directly against the service's address, as `eval "$(ccr env)"` would have it."""
        options = {"ANTHROPIC_BASE_URL": self.address, "ANTHROPIC_AUTH_TOKEN": KEY, **options}
        arguments = ("--model", model, *options.pop("arguments", ()))
        return claude.run([str(claude.PROGRAM)], prompt, self.folder, arguments=arguments, **options)

    def lose_workspace(self) -> None:
        """Take the workspace away from under the service."""
        self.workspace.stop()
        self.workspace_is_gone = True

    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests that reached the workspace, in order."""
        return [request.body for request in self.workspace.requests if request.method == "POST"]

    def statuses(self) -> list[int | None]:
        """What the workspace answered, in order."""
        return [request.status for request in self.workspace.requests if request.method == "POST"]


@pytest.fixture(scope="session", autouse=True)
def client_is_installed() -> None:
    """Fail, never skip, when the client is missing."""
    if not claude.PROGRAM.exists():
        pytest.exit(f"{claude.PROGRAM} is missing: run scripts/install-claude", returncode=1)


def configuration(
    workspace: WorkspaceThread, provider: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A config.json in the documented form, with the four models of the workspace.

    provider: further keys of the only provider.
    """
    return {
        "LOG_LEVEL": "debug",
        "PORT": 0,
        "APIKEY": KEY,
        "Providers": [
            {
                "name": "databricks",
                "api_base_url": f"{workspace.url}/serving-endpoints/{MODELS[0]}/invocations",
                "api_key": workspace.token,
                "models": MODELS,
                "transformer": {"use": ["OpenAI", "databricks-custom"]},
                **(provider or {}),
            }
        ],
        "Router": {"default": f"databricks,{MODELS[0]}"},
        **changes,
    }


def devbox_configuration(home: Path, written: dict[str, Any]) -> dict[str, Any]:
    """The file that Devbox writes, with what the tests change of ``written`` and its plugin forced to run."""
    plugin = home / "plugins/databricks-transformer.js"
    plugin.parent.mkdir(mode=0o700)
    shutil.copyfile(DEVBOX / "plugins/databricks-transformer.js", plugin)
    plugin.chmod(0o600)
    found = json.loads((DEVBOX / "config.json").read_text())
    found["transformers"] = [{"path": str(plugin), "options": {"debug": True, "forceJs": True}}]
    steps = found["Providers"][0]["transformer"]["use"]
    [provider] = written["Providers"]
    chains = {"use": steps, **{model: {"use": steps} for model in provider["models"]}}
    return {**found, **written, "Providers": [{**provider, "transformer": chains}]}


@pytest.fixture
def steps() -> str:
    """Whose ``databricks-custom`` changes the requests; BOTH_WAYS gives both."""
    return BUILT_IN


@pytest.fixture
def serve(tmp_path: Path, steps: str) -> Iterator[Callable[..., Service]]:
    """Start a workspace that plays a script and a ccr in front of it; stop both at the end."""
    started: list[Service] = []

    def start(script: Script | Workspace, **changes: Any) -> Service:
        workspace = WorkspaceThread(script)
        workspace.start()
        home = tmp_path / "person/.claude-code-router"
        home.mkdir(parents=True)
        written = configuration(workspace, **changes)
        if steps == DEVBOX_JS:
            written = devbox_configuration(home, written)
        (home / "config.json").write_text(json.dumps(written))
        service = Service(home, "", workspace, tmp_path, steps)
        started.append(service)
        done = service.ccr("start")
        assert done.returncode == 0, done.stdout + done.stderr
        status = service.ccr("status", "--json")
        assert status.returncode == 0, status.stdout + status.stderr
        service.address = json.loads(status.stdout)["address"]
        return service

    yield start
    for service in started:
        if steps == DEVBOX_JS and any(request.method == "POST" for request in service.workspace.requests):
            lines = (service.home / "plugin.log").read_text()
            assert "databricks-custom: transformRequestIn called" in lines, "the file did not run"
        service.ccr("stop")
        if not service.workspace_is_gone:
            service.workspace.stop()
