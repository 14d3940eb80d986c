"""The small commands, the group's manners, and what a quick command may import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import ccr
from ccr.cli.logs import readable
from ccr.cli.main import COMMANDS, cli, run
from ccr.cli.status_report import counted, duration, identified, served_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.daemon.installation import Installation

HEAVY = (
    "aiohttp",
    "rich",
    "json5",
    "msgspec",
    "asyncio",
    "http.client",
    "subprocess",
    "ccr.server",
    "ccr.gateway",
)


@pytest.mark.parametrize("argument", ["-v", "--version", "version"])
def test_version(argument: str) -> None:
    assert CliRunner().invoke(cli, [argument]).output == f"ccr {ccr.__version__}\n"


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help_names_every_command(argument: str) -> None:
    output = CliRunner().invoke(cli, [argument]).output
    assert all(f"  {name} " in output for name in COMMANDS)
    assert "activate" not in output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name: str) -> None:
    if name == "code":
        return  # its help is claude's
    for argument in ("-h", "--help"):
        done = CliRunner().invoke(cli, [name, argument])
        assert done.exit_code == 0, done.output
        assert f"Usage: cli {name}" in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stauts"], "There is no command `stauts`. Did you mean `ccr status`?"),
        (["xyzzy"], "There is no command `xyzzy`."),
        (["install", "x"], "There is no command `install`. `ccr preset install` takes a folder"),
        (["start", "--forground"], "--foreground"),
        (["-x"], "No such option"),
        (["start", "--wait", "-1"], "--wait"),
    ],
)
def test_mistakes(arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_an_unknown_name_is_no_command() -> None:
    with cli.make_context("ccr", ["status"]) as context:
        assert cli.get_command(context, "nothing") is None
        assert cli.list_commands(context) == list(COMMANDS)


@pytest.mark.parametrize("command", ["status", "code", "env"])
def test_quick_commands_import_nothing_heavy(installation: Installation, command: str) -> None:
    installation.run("start")
    # the model table needs msgspec; status is printed without a command line parser
    forbidden = [*HEAVY, "click"] if command == "status" else [name for name in HEAVY if name != "msgspec"]
    program = (
        "import sys, os; os.execve = lambda *a: sys.exit(0)\n"
        "from ccr.cli import main\n"
        f"sys.argv = ['ccr', {command!r}]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, file=sys.stderr)\n"
        "print(sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=installation.environ(CLAUDE_PATH=sys.executable),
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = done.stderr.splitlines()
    assert code == "0"
    assert [name for name in forbidden if f"'{name}'" in modules] == []


def test_errors_are_a_sentence_and_an_exit_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", installation.environ())
    installation.configure(PORT="x")
    with pytest.raises(SystemExit) as ended:
        run(["config", "check"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("ccr: ")
    installation.paths.config_file.unlink()
    with pytest.raises(SystemExit) as ended:
        run(["config", "check"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(13, "Permission denied", "/x"), "ccr: /x: Permission denied"),
        (
            OSError(30, "Read-only file system", "/h/.lock"),
            "ccr: /h/.lock: Read-only file system. CCR_HOME names another folder for ccr's files.",
        ),
        (OSError("odd"), "ccr: odd"),
    ],
)
def test_errors_of_the_system(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, shown: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "main", fail)
    monkeypatch.setenv("CCR_HOME", "/h")
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 1
    assert capsys.readouterr().err.strip() == shown


def test_without_a_home() -> None:
    environ = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-m", "ccr.cli", "status"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "HOME is not set" in done.stderr


class TestConfig:
    def test_path(self, installation: Installation) -> None:
        file = str(installation.paths.config_file)
        assert installation.run("config", "path").stdout == f"{file}\n"
        values = json.loads(installation.run("config", "path", "--json").stdout)
        assert values == {"path": file, "exists": True}

    def test_show(self, installation: Installation) -> None:
        installation.configure(APIKEY="canary-local", Prot=1)
        done = installation.run("config", "show")
        assert json.loads(done.stdout)["APIKEY"] == "***"
        assert "did you mean PORT?" in done.stderr
        assert "canary" not in done.stdout
        quiet = installation.run("config", "show", "--json")
        assert json.loads(quiet.stdout) == json.loads(done.stdout)
        assert quiet.stderr == ""

    def test_check(self, installation: Installation) -> None:
        done = installation.run("config", "check")
        assert done.returncode == 0
        assert "is good (providers: 1, models: 1, default: databricks,m)" in done.stdout
        good = json.loads(installation.run("config", "check", "--json").stdout)
        assert good == {"ok": True, "problems": [], "warnings": [], "notes": []}

    def test_check_finds_problems(self, installation: Installation) -> None:
        installation.configure(PORT="x")
        assert "PORT: found 'x'" in installation.run("config", "check").stderr
        done = installation.run("config", "check", "--json")
        assert done.returncode == 1
        (problem,) = json.loads(done.stdout)["problems"]
        assert problem == {
            "file": str(installation.paths.config_file),
            "key": "PORT",
            "found": "'x'",
            "allowed": "a whole number from 0 to 65535",
        }

    def test_check_without_a_file(self, installation: Installation) -> None:
        installation.paths.config_file.unlink()
        done = installation.run("config", "check", "--json")
        assert done.returncode == 2
        assert json.loads(done.stdout)["ok"] is False
        assert "no file" in str(json.loads(done.stdout)["problems"])


class TestStatus:
    def test_for_people(self, installation: Installation) -> None:
        assert "ccr is not running" in installation.run("status").stdout
        installation.run("start")
        installation.configure()
        future = time.time() + 60
        os.utime(installation.paths.config_file, (future, future))
        done = installation.run("status")
        state = installation.state()
        assert done.returncode == 0
        assert f"address   {state['address']}" in done.stdout
        assert f"process   {state['pid']}, up " in done.stdout
        assert "provider  databricks: m" in done.stdout
        assert "route     default -> databricks,m" in done.stdout
        assert "`ccr restart`" not in done.stdout  # what changed is taken over while it runs
        assert "canary" not in done.stdout

    def test_as_json(self, installation: Installation) -> None:
        values = installation.status()
        assert (values["running"], values["condition"], values["config_error"]) == (False, "stopped", None)
        assert values["routes"] == {"default": "databricks,m"}
        installation.paths.config_file.unlink()
        without = installation.run("status", "--json")
        assert without.returncode == 3
        assert json.loads(without.stdout)["config_error"].startswith("There is no configuration at")

    def test_every_rule_of_the_router_is_shown(self, installation: Installation) -> None:
        installation.configure(
            Router={
                "default": "databricks,m",
                "background": ["databricks,m"],
                "longContext": "databricks,m",
                "longContextThreshold": 1000,
            },
            fallback={"background": ["databricks,m"]},
        )
        said = installation.run("status").stdout
        assert "route     background -> databricks,m" in said
        assert "route     longContext (above 1000 tokens) -> databricks,m" in said

    def test_what_was_counted(self) -> None:
        repairs = {
            "databricks,m": {"unknown_field_removed": {"stop": 2, "x": 1}, "max_tokens_halved": {"": 3}}
        }
        assert counted({"requests": {"ok": 5, "error": 1}, "repairs": repairs}) == [
            "  requests  5 ok, 1 error",
            "  repaired  databricks,m: unknown_field_removed: stop (2), x (1)",
            "  repaired  databricks,m: max_tokens_halved: 3",
        ]
        assert counted({}) == []

    def test_who_signs_in(self) -> None:
        principal = {
            "method": "oauth-m2m",
            "host": "https://dbc-1.cloud.databricks.com",
            "client_id": "1111",
            "source": "environment",
            "expires_at": "2027-01-15T09:00:00Z",
        }
        login = {
            "method": "databricks-cli",
            "profile": "work",
            "source": "profile work",
            "expires_at": "no token yet",
            "problem": "run `databricks auth login --profile work`.",
        }
        user = {"method": "on-behalf-of-user", "host": "", "source": "a header", "expires_at": "unknown"}
        assert identified({"identities": {"p": principal, "q": login, "r": user}}) == [
            "  identity  p: oauth-m2m for 1111 (environment), token ends: 2027-01-15T09:00:00Z",
            "  identity  q: databricks-cli for work (profile work), token ends: no token yet",
            "            no new token: run `databricks auth login --profile work`.",
            "  identity  r: on-behalf-of-user (a header), token ends: unknown",
        ]
        assert identified({}) == []

    def test_routes_of_plugins_are_shown(self) -> None:
        assert served_beside({}) == []
        counts = {"configuration": {"end_points": {"/v1/responses": "responses"}}}
        assert served_beside(counts) == ["  endPoint  POST /v1/responses (responses)"]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3661, "1 h 1 min"), (90000, "1 d 1 h")],
    )
    def test_durations(self, seconds: int, text: str) -> None:
        assert duration(seconds) == text


class TestLogs:
    def test_none_yet(self, installation: Installation) -> None:
        done = installation.run("logs")
        assert done.returncode == 1
        assert "There is no log yet" in done.stderr

    def test_the_last_lines(self, installation: Installation) -> None:
        installation.paths.log_dir.mkdir()
        records = [
            {"time": "2026-01-02T03:04:05.678+00:00", "level": "info", "message": f"m{n}"} for n in range(9)
        ]
        installation.paths.log_file.write_text("".join(json.dumps(record) + "\n" for record in records))
        shown = installation.run("logs", "-n", "2", TZ="UTC-1").stdout
        assert shown == "01-02 04:04:05.678 info  m7\n01-02 04:04:05.678 info  m8\n"
        (line,) = installation.run("logs", "-n", "1", "--json").stdout.splitlines()
        assert json.loads(line) == records[-1]
        assert installation.run("logs", "-n", "0").stdout == ""

    @pytest.mark.parametrize(
        ("line", "text"),
        [
            (
                '{"time":"yesterday","level":"warn","message":"a\\nb","x":1,"y":"z\\u001b[2J"}',
                "yesterday warn  a?b  x=1  y=z?[2J",
            ),
            ('{"message":"m","traceback":"one\\n  two"}', "       m\n    one\n      two"),
            ("no json \x07", "no json ?"),
            ("[1]", "[1]"),
        ],
    )
    def test_readable(self, line: str, text: str) -> None:
        assert readable(line) == text

    def test_following_survives_a_rotation(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = installation.paths.log_file
        file.parent.mkdir()

        def append(text: str) -> None:
            with file.open("a") as opened:
                opened.write(text)

        def rotate() -> None:
            append("four\n")
            file.rename(file.with_name("ccr.log.1"))

        steps: Iterator[Callable[[], object]] = iter(
            [
                lambda: append("one\n"),
                lambda: None,
                lambda: append("two\nthr"),
                lambda: append("ee\n"),
                rotate,
                lambda: append("five\n"),
                lambda: file.write_text(""),
                lambda: append("six\n"),
            ]
        )

        def pause(_: float) -> None:
            step = next(steps, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr(time, "sleep", pause)
        monkeypatch.setattr(os, "environ", installation.environ())
        done = CliRunner().invoke(cli, ["logs", "-f"])
        assert done.exit_code == 0
        assert done.output.split() == ["one", "two", "three", "four", "five", "six"]


def test_problems_come_with_the_warnings_that_explain_them(installation: Installation) -> None:
    installation.paths.config_file.write_text('{"Provders": [], "Router": {"default": "a,b"}}')
    failed = installation.run("start")
    assert failed.returncode == 1
    assert "Providers: found nothing" in failed.stderr
    assert "Provders" in failed.stderr.partition("ccr: ")[0]
    checked = json.loads(installation.run("config", "check", "--json").stdout)
    assert [sentence for sentence in checked["warnings"] if "Providers" in sentence]
