"""``ccr service``: what would be written is shown, what was written is taken back, nothing needs root."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ccr.cli import autostart
from ccr.cli.main import cli
from ccr.config.paths import Paths
from ccr.daemon import control
from ccr.daemon.state import State
from ccr.daemon.unit import restart_command, unit_for
from ccr.errors import StartError
from tests.daemon.conftest import installation  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from tests.daemon.installation import Installation

PYTHON = "/opt/py thon/bin/python"
HERE: dict[str, Any] = {"platform": "linux", "python": PYTHON, "uid": 1, "stop_timeout_s": 30}
MAC = {**HERE, "platform": "darwin", "uid": 501, "stop_timeout_s": 59.5}


def lines_for(home: str, **environ: str) -> list[str]:
    unit = unit_for(
        Paths(Path(home)),
        {"HOME": "/home/p", **environ},
        platform="linux",
        python=PYTHON,
        uid=1,
        stop_timeout_s=30,
    )
    assert unit.path == Path(environ.get("XDG_CONFIG_HOME", "/home/p/.config")) / "systemd/user/ccr.service"
    return os.fsdecode(unit.content).splitlines()


class TestUnits:
    def test_systemd(self) -> None:
        lines = lines_for("/home/p/.claude-code-router", PATH="/bin:/opt/a b")
        assert f'ExecStart="{PYTHON}" "-P" "-m" "ccr.cli" "start" "--foreground"' in lines
        assert 'Environment="CCR_HOME=/home/p/.claude-code-router"' in lines
        assert 'Environment="CCR_SUPERVISOR=systemd"' in lines
        assert 'Environment="PATH=/bin:/opt/a b"' in lines
        assert "EnvironmentFile=-/home/p/.claude-code-router/service.env" in lines
        for word in (
            "TimeoutStopSec=45",
            "NoNewPrivileges=yes",
            "UMask=0077",
            "LimitCORE=0",
            "KillMode=mixed",
        ):
            assert word in lines
        assert "WantedBy=default.target" in lines

    def test_names_that_systemd_would_read_otherwise(self) -> None:
        lines = lines_for('/h/100% "x" $y \\z', XDG_CONFIG_HOME="/cfg")
        assert 'Environment="CCR_HOME=/h/100%% \\"x\\" $y \\\\z"' in lines
        with pytest.raises(StartError, match="control character"):
            lines_for("/h/a\nb")

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
    def test_systemd_takes_it(self, tmp_path: Path) -> None:
        file = tmp_path / "ccr.service"
        file.write_text("\n".join(lines_for("/home/p/x")).replace(PYTHON, "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "--user", "verify", str(file)], capture_output=True, text=True, check=False
        )
        assert "ccr.service" not in done.stderr

    def test_launchd(self) -> None:
        environ = {"HOME": "/Users/p", "PATH": "/bin"}
        unit = unit_for(
            Paths(Path("/h")), environ, platform="darwin", python=PYTHON, uid=501, stop_timeout_s=59.5
        )
        assert unit.path == Path("/Users/p/Library/LaunchAgents/ccr.service.plist")
        values = plistlib.loads(unit.content)
        assert values["ProgramArguments"] == [PYTHON, "-P", "-m", "ccr.cli", "start", "--foreground"]
        assert values["EnvironmentVariables"]["CCR_SUPERVISOR"] == "launchd"
        assert values["ExitTimeOut"] == 75, "longer than its answers may take"
        assert (values["Umask"], values["KeepAlive"]) == (0o077, {"SuccessfulExit": False})
        assert unit.install[0][:3] == ("launchctl", "bootstrap", "gui/501")
        assert restart_command("launchd", 501)[-1] == "gui/501/ccr.service"

    def test_elsewhere(self) -> None:
        with pytest.raises(StartError, match="systemd, launchd"):
            unit_for(
                Paths(Path("/h")), {"HOME": "/"}, platform="win32", python=PYTHON, uid=1, stop_timeout_s=30
            )
        with pytest.raises(StartError, match="HOME"):
            unit_for(Paths(Path("/h")), {}, **HERE)


@pytest.fixture
def systemctl(tmp_path: Path) -> Path:
    """A program of that name that writes down how it was called, and fails when a file says so."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\ntest ! -e {folder}/fails\n')
    program.chmod(0o700)
    return folder


class TestCommands:
    @pytest.fixture
    def environ(self, installation: Installation, systemctl: Path, tmp_path: Path) -> dict[str, str]:  # noqa: F811 - the fixture
        return {
            "CCR_HOME": str(installation.paths.home),
            "HOME": str(tmp_path / "person"),
            "PATH": f"{systemctl}:/usr/bin:/bin",
            "XDG_CONFIG_HOME": "",
        }

    def ccr(self, environ: dict[str, str], *arguments: str, input_: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["service", *arguments], env=environ, input=input_)
        if isinstance(done.exception, StartError):
            return 1, str(done.exception)
        return done.exit_code, done.output

    def test_there_and_back(self, environ: dict[str, str], systemctl: Path) -> None:
        unit = Path(environ["HOME"]) / ".config/systemd/user/ccr.service"
        code, printed = self.ccr(environ, "install", "--print")
        assert (code, printed.startswith("# Written by")) == (0, True)
        code, asked = self.ccr(environ, "install", input_="n\n")
        assert (code, unit.exists()) == (0, False)
        assert "+ExecStart=" in asked
        assert "systemctl --user enable ccr.service" in asked
        assert asked.endswith("Nothing was changed.\n")
        assert not (systemctl / "calls").exists()
        assert self.ccr(environ, "status") == (3, f"not installed ({unit})\n")
        assert self.ccr(environ, "uninstall") == (0, f"There is no {unit}.\n")

        assert self.ccr(environ, "install", "--yes")[0] == 0
        assert unit.read_text() == printed
        assert unit.stat().st_mode & 0o777 == 0o600
        calls = (systemctl / "calls").read_text().splitlines()
        assert calls == ["--user daemon-reload", "--user enable ccr.service", "--user restart ccr.service"]
        assert self.ccr(environ, "status")[0] == 0
        unit.write_text("edited")
        assert "another content" in self.ccr(environ, "status")[1]
        assert self.ccr(environ, "uninstall", input_="n\n")[1].endswith("Nothing was changed.\n")
        assert unit.exists()
        assert self.ccr(environ, "uninstall", "--yes")[0] == 0
        assert not unit.exists()
        assert "--user disable --now ccr.service" in (systemctl / "calls").read_text()

    def test_a_manager_that_fails_or_is_missing(self, environ: dict[str, str], systemctl: Path) -> None:
        (systemctl / "fails").touch()
        code, said = self.ccr(environ, "install", "--yes")
        assert (code, "failed (exit code 1)" in said) == (1, True)
        assert "`ccr service uninstall` removes it" in said
        assert self.ccr(environ, "status")[0] == 3
        environ["PATH"] = "/nowhere"
        assert self.ccr(environ, "status")[0] == 3
        assert self.ccr(environ, "uninstall", "--yes")[0] == 0
        code, said = self.ccr(environ, "install", "--yes")
        assert (code, "--print" in said) == (1, True)
        assert not (Path(environ["HOME"]) / ".config/systemd/user/ccr.service").exists()

    def test_one_that_does_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(autostart, "TIMEOUT_S", 0.05)
        with pytest.raises(StartError, match="did not end"):
            autostart._exit_code(("sleep", "5"))


class TestRestartUnderASupervisor:
    def test_the_supervisor_is_asked(
        self,
        installation: Installation,  # noqa: F811 - the fixture
        systemctl: Path,
    ) -> None:
        path = f"{systemctl}:{os.environ['PATH']}"
        assert installation.run("start", CCR_SUPERVISOR="systemd").returncode == 0
        state = installation.state()
        assert state["supervisor"] == "systemd"
        done = installation.run("restart", PATH=path)
        assert done.returncode == 0, done.stderr
        assert (systemctl / "calls").read_text() == "--user restart ccr.service\n"
        assert installation.state() == state, "this systemctl restarts nothing"
        (systemctl / "fails").touch()
        failed = installation.run("restart", PATH=path)
        assert (failed.returncode, "exit code 1" in failed.stderr) == (1, True)
        gone = json.loads(json.dumps(state))
        assert State(**gone).supervisor == "systemd"

    def test_a_supervisor_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(StartError, match="cannot be run"):
            control._restart_by("launchd")
