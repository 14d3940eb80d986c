"""``ccr demo`` as a whole, with a real service, and every way it can go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from ccr.cli.main import cli
from ccr.sandbox.demo import EXPECTED_USAGE, WRITTEN, Demo
from ccr.sandbox.demo_client import Conversation, DemoError
from ccr.sandbox.demo_timing import Asking
from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BARE = {
    name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "CLAUDE", "CCR"))
}
ALONE = BARE | {"PATH": "/usr/bin:/bin", "CLAUDE_PATH": "/nowhere/claude"}
PRETENDER = """\
import json, os, sys
from pathlib import Path
from ccr.sandbox.demo_client import converse
if "--version" in sys.argv:
    sys.exit(print("0.0.0 (pretender)"))
assert "--dangerously-skip-permissions" in sys.argv and "ANTHROPIC_API_KEY" not in os.environ
address, key = os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_AUTH_TOKEN"]
said = converse(address, key, os.environ["ANTHROPIC_MODEL"], sys.argv[sys.argv.index("-p") + 1], Path.cwd())
print(json.dumps({"type": "result", "is_error": False, "result": said.result, "usage": said.usage}))
"""


@dataclass
class Printed:
    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def test_the_demo_with_its_own_client() -> None:
    printed = Printed()
    assert Demo(printed, ALONE, rounds=3).run() == 0, printed.text
    assert "client     a small one of the demo's own" in printed.text
    assert f"result   {WRITTEN}" in printed.text
    assert "databricks,databricks-claude-sonnet-4-5 (rule: " in printed.text
    assert "480 in, 85 out, cache: 1,800 read, 2,220 written" in printed.text
    assert "ms added by ccr" in printed.text
    assert printed.lines[-1] == "Every step was right."


def test_the_demo_with_a_client_that_is_installed(tmp_path: Path) -> None:
    program = tmp_path / "claude"
    program.write_text(f"#!{sys.executable} -P\n{PRETENDER}")
    program.chmod(0o755)
    printed = Printed()
    assert Demo(printed, BARE | {"CLAUDE_PATH": str(program)}, rounds=3).run() == 0, printed.text
    assert "client     Claude Code 0.0.0, by `ccr code`" in printed.text


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    environ = ALONE | {"TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-P", "-c", "from ccr.cli import main; main()", "demo"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


class Astray(Demo):
    """A demo whose conversation, or what came of it, is changed before it is checked."""

    change: Callable[[Conversation, Path], None]

    def _conversation(self, address: str, key: str, home: Path, work: Path) -> Conversation:
        conversation = super()._conversation(address, key, home, work)
        self.change(conversation, home)
        return conversation


def wrong_result(conversation: Conversation, _home: Path) -> None:
    conversation.result = "something else"


def wrong_usage(conversation: Conversation, _home: Path) -> None:
    conversation.usage = EXPECTED_USAGE | {"input_tokens": 1}


def wrong_file(_conversation: Conversation, home: Path) -> None:
    (home.parent / "work" / "demo.txt").unlink()


def no_log(_conversation: Conversation, home: Path) -> None:
    log = home / "logs" / "ccr.log"
    until(lambda: log.read_text().count('"request ok"') >= 2)  # written a moment after the answers
    log.unlink()


def a_refusal(_conversation: Conversation, home: Path) -> None:
    provider = json.loads((home / "config.json").read_text())["Providers"][0]
    url = urlsplit(provider["api_base_url"])
    way = Asking.of(url.geturl(), url.path, {"authorization": f"Bearer {provider['api_key']}"}, {})
    with pytest.raises(DemoError, match="answered 400"):
        way.seconds()
    way.connection.close()


@pytest.mark.parametrize(
    ("change", "step", "reason"),
    [
        (a_refusal, "conversation", "the workspace refused: messages: Input should be a valid list"),
        (wrong_result, "conversation", "the client understood 'something else'"),
        (wrong_file, "conversation", "did not write demo.txt"),
        (no_log, "route", "no record of the requests"),
        (wrong_usage, "tokens", "the client counted {'input_tokens': 1"),
    ],
)
def test_a_step_that_is_not_right(
    change: Callable[[Conversation, Path], None], step: str, reason: str
) -> None:
    printed = Printed()
    astray = Astray(printed, ALONE, rounds=1)
    astray.change = change
    assert astray.run() == 1
    assert f"FAILED at step “{step}”: " in printed.lines[-1]
    assert reason in printed.lines[-1]


def ccr_that(*, fails_at: str) -> list[str]:
    """A command line of ccr whose one command ends with an error, the others being real."""
    program = (
        "import sys; from ccr.cli import main; "
        f"main() if sys.argv[1] != {fails_at!r} else sys.exit('it is broken')"
    )
    return [sys.executable, "-P", "-c", program]


def test_a_service_that_does_not_start() -> None:
    printed = Printed()
    assert Demo(printed, ALONE, ccr=ccr_that(fails_at="start")).run() == 1
    assert printed.lines[-1] == ("FAILED at step “service”: `ccr start` ended with exit code 1: it is broken")


def test_a_service_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Demo._ccr, []

    def stop_and_complain(self: Demo, home: Path, *arguments: str) -> str:
        calls.append(arguments[0])
        told = real(self, home, *arguments)
        if arguments[0] == "stop":
            raise DemoError("it is still there")
        return told

    monkeypatch.setattr(Demo, "_ccr", stop_and_complain)
    printed = Printed()
    assert Demo(printed, ALONE, rounds=1).run() == 1
    assert calls == ["start", "status", "stop"]
    assert printed.lines[-1] == "FAILED at step “stop”: it is still there"


def test_the_first_failure_is_the_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def complain(_self: Demo, _home: Path, *arguments: str) -> str:
        raise DemoError(f"no {arguments[0]}")

    monkeypatch.setattr(Demo, "_ccr", complain)
    printed = Printed()
    assert Demo(printed, ALONE).run() == 1
    assert printed.lines[-1] == "FAILED at step “service”: no start"


def test_a_command_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.sandbox.demo.COMMAND_TIMEOUT_S", 0.2)
    printed = Printed()
    hanging = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert Demo(printed, ALONE, ccr=hanging).run() == 1
    assert "did not end within 0 s" in printed.lines[-1]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_command_ends_as_the_demo_does(monkeypatch: pytest.MonkeyPatch, exit_code: int) -> None:
    monkeypatch.setattr(Demo, "run", lambda _self: exit_code)
    assert CliRunner().invoke(cli, ["demo"]).exit_code == exit_code
