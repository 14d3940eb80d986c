"""`ccr code` and `ccr env` with a stand-in for claude that tells what it was given."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.installation import Installation

TELLS = """#!{python}
import json, os, sys
print(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid()}}))
sys.exit(7)
"""


@pytest.fixture
def claude(tmp_path: Path) -> str:
    """A program named claude."""
    file = tmp_path / "bin" / "claude"
    file.parent.mkdir()
    file.write_text(TELLS.format(python=sys.executable))
    file.chmod(0o755)
    return str(file)


ODD_ARGUMENTS = [
    ["--help"],
    ["--version"],
    ["-h"],
    ["--", "-p", "x"],
    ["-p", "say \"hi\" '$HOME' `id` $(id); --no-foo", "--model", "sonnet", "--no-x", "positional", ""],
    ["-v", "--json", "--foreground", "start"],
    ["é ☃ \u202e", "-"],
    [],
]


@pytest.mark.parametrize("arguments", ODD_ARGUMENTS)
def test_arguments_are_claude_s(installation: Installation, claude: str, arguments: list[str]) -> None:
    installation.run("start")
    done = installation.run("code", *arguments, CLAUDE_PATH=claude)
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["arguments"] == arguments
    assert done.stderr == ""


def test_settings_that_lead_past_ccr_are_told(
    installation: Installation, claude: str, tmp_path: Path
) -> None:
    settings = tmp_path / "client" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://elsewhere.example"}}')
    done = installation.run("code", "-p", CLAUDE_PATH=claude, CLAUDE_CONFIG_DIR=str(settings.parent))
    assert done.returncode == 7, done.stderr
    assert f"warning: {settings} sets ANTHROPIC_BASE_URL" in done.stderr


def test_it_starts_the_service_and_becomes_claude(
    installation: Installation, claude: str, tmp_path: Path
) -> None:
    installation.configure(CLAUDE_PATH=claude)
    home = tmp_path / "person"
    home.mkdir()
    process = installation.popen("code", ANTHROPIC_API_KEY="theirs", HTTPS_PROXY="http://p:1", HOME=str(home))
    output, errors = process.communicate(timeout=60)
    told = json.loads(output)
    assert (process.returncode, errors) == (7, "")
    assert told["pid"] == process.pid, "the same process, not a child"
    environment = told["environment"]
    assert environment["ANTHROPIC_BASE_URL"] == installation.status()["address"]
    assert environment["ANTHROPIC_AUTH_TOKEN"] == installation.paths.key_file.read_text().strip()
    assert environment["ANTHROPIC_MODEL"] == "m"
    assert "ANTHROPIC_API_KEY" not in environment
    assert "canary-provider-key" not in output, "a provider's key never reaches claude's environment"
    assert list(home.iterdir()) == [], "no file of the person's is written"


def test_signals_reach_claude(installation: Installation, tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\necho ready\nexec sleep 300\n")
    sleeper.chmod(0o755)
    with installation.popen("code", CLAUDE_PATH=str(sleeper)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == -signal.SIGTERM
    assert installation.run("status").returncode == 0, "the service stays up"


def test_without_claude_nothing_is_started(installation: Installation) -> None:
    done = installation.run("code", "-p", "x", CLAUDE_PATH="/nowhere/claude")
    assert done.returncode == 127
    assert done.stderr.count("\n") == 1
    assert "npm install -g @anthropic-ai/claude-code" in done.stderr
    assert installation.run("status").returncode == 3


def test_warnings_are_shown_when_it_starts_the_service(installation: Installation, claude: str) -> None:
    installation.configure(Prot=1)
    assert "did you mean PORT?" in installation.run("code", CLAUDE_PATH=claude).stderr
    assert installation.run("code", CLAUDE_PATH=claude).stderr == ""


class Stranger:
    """Something on the port that answers everything, or nothing, and remembers what it was told."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.is_silent = is_silent
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.received = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        body = json.dumps({"status": "ok", "instance": "x", "proof": "0" * 64}).encode()
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                self.received += connection.recv(65536)
                if self.is_silent:
                    time.sleep(2.5)  # longer than anybody waits for the proof
                    continue
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()


@pytest.mark.parametrize("command", [["code", "-p", "x"], ["env"], ["key"]])
@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.fault(
    "A23", outcome="`ccr code`, `ccr env` and `ccr key` end with an error and give no key away"
)
def test_a_stranger_on_the_port_gets_no_key(
    installation: Installation, claude: str, command: list[str], *, is_silent: bool
) -> None:
    with Stranger(is_silent=is_silent) as stranger:
        installation.configure(PORT=stranger.port)
        forged = {
            "pid": 99999,
            "start_time": None,
            "instance": "x",
            "address": f"http://127.0.0.1:{stranger.port}",
            "started_at": 1.0,
            "version": "0.1.0",
        }
        installation.paths.state_file.write_text(json.dumps(forged))
        done = installation.run(*command, CLAUDE_PATH=claude)
        assert installation.run("status").returncode == 3
    key = installation.paths.key_file.read_text().strip()
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(stranger.port) in done.stderr
    assert b"/health?nonce=" in stranger.received
    assert key.encode() not in stranger.received
    assert key not in done.stderr


class TestEnv:
    def evaluated(self, installation: Installation, *arguments: str) -> dict[str, Any]:
        lines = installation.run("env", "--shell", "bash", *arguments).stdout
        show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
        bash = shutil.which("bash")
        assert bash
        done = subprocess.run([bash, "-c", f"{lines}\n{show}"], capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    def test_for_bash(self, installation: Installation) -> None:
        installation.run("start")
        environment = self.evaluated(installation)
        assert environment["ANTHROPIC_BASE_URL"] == installation.status()["address"]
        assert environment["ANTHROPIC_AUTH_TOKEN"] == installation.paths.key_file.read_text().strip()

    def test_before_the_start(self, installation: Installation) -> None:
        installation.configure(PORT=28934)
        done = installation.run("env", ANTHROPIC_API_KEY="x")
        assert done.returncode == 0
        assert "unset ANTHROPIC_API_KEY" in done.stdout
        assert "http://127.0.0.1:28934" in done.stdout
        assert "not running yet" in done.stderr

    def test_without_a_port_to_name(self, installation: Installation) -> None:
        done = installation.run("env")
        assert (done.returncode, done.stdout) == (1, "")
        assert "`ccr start` first" in done.stderr

    def test_alias_and_shells(self, installation: Installation) -> None:
        installation.run("start")
        assert "alias" not in installation.run("env").stdout
        assert "alias cc='ccr code'\n" in installation.run("env", "--alias", SHELL="/bin/zsh").stdout
        fish = installation.run("activate", "--alias", SHELL="/usr/bin/fish").stdout
        assert "set -gx ANTHROPIC_BASE_URL 'http://" in fish
        assert "alias cc 'ccr code';\n" in fish
        assert installation.run("env", "--shell", "csh").returncode == 2
