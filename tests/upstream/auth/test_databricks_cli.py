"""The login of the Databricks CLI, with a small program in its place."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from ccr.config.model import Secret
from ccr.errors import UpstreamError
from ccr.upstream.auth.databricks_cli import DatabricksCliSource, environ_of_cli
from ccr.upstream.auth.identity import DatabricksCli
from ccr.upstream.auth.tokens import Token
from tests.upstream.auth.fakes import START_S, Clock, calls_of, fake_cli, web_token

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://dbc-1.cloud.databricks.com"


class Cli:
    """A source whose CLI is ``script``; ``slept`` are the pauses it made."""

    def __init__(
        self,
        folder: Path,
        script: str,
        *,
        profile: str | None = None,
        program: str | None = None,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.slept: list[float] = []
        identity = DatabricksCli(
            host=HOST, profile=profile, program=program or fake_cli(folder, script), source="environment"
        )
        self.source = DatabricksCliSource(
            identity,
            {**os.environ, "DATABRICKS_TOKEN": "canary"},
            clock=Clock(),
            sleep=self._sleep,
            jitter=lambda _low, high: high,
            **options,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def calls(self) -> list[list[str]]:
        return [call["args"] for call in calls_of(self.folder)]

    async def refusal(self) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await self.source.fetch(None)
        return caught.value


ORDINARY = ["auth", "token", "--host", HOST, "--output", "json"]
FORCED = [*ORDINARY, "--force-refresh"]


async def test_the_token_of_the_login(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "token('u2m')")
    assert await cli.source.fetch(None) == Token(Secret("u2m"), START_S + 3600)
    assert cli.calls == [ORDINARY]
    assert cli.source.describe() == {
        "method": "databricks-cli",
        "host": HOST,
        "profile": "",
        "source": "environment",
    }


async def test_a_profile_goes_before_the_host(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "token('u2m')", profile="dev")
    await cli.source.fetch(None)
    assert cli.calls == [["auth", "token", "--profile", "dev", "--output", "json"]]


async def test_the_cli_runs_apart_and_sees_no_secret(tmp_path: Path) -> None:
    await Cli(tmp_path, "token('u2m')").source.fetch(None)
    (call,) = calls_of(tmp_path)
    assert call["cwd"] == "/"
    assert "canary" not in str(call["environ"])
    assert call["environ"]["PATH"] == os.environ["PATH"]


def test_what_the_cli_gets_of_the_environment() -> None:
    kept = {
        "HOME": "/home/p",
        "HTTPS_PROXY": "http://proxy",
        "DATABRICKS_CONFIG_FILE": "f",
        "DATABRICKS_AUTH_STORAGE": "plaintext",
    }
    dropped = dict.fromkeys(
        (
            *("DATABRICKS_TOKEN", "DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_CLIENT_SECRET"),
            *(
                "ANTHROPIC_AUTH_TOKEN",
                "ANTHROPIC_BASE_URL",
                "OPENAI_API_KEY",
                "ARM_CLIENT_ID",
                "aws_secret_key",
            ),
        ),
        "x",
    )
    assert environ_of_cli({**kept, **dropped}) == kept


@pytest.mark.parametrize(
    ("script", "replacing", "expected", "forced"),
    [
        ("token('a', 299 if len(log) == 1 else 3600)", None, ("a", 3600.0), True),
        ("token('old' if len(log) == 1 else 'new')", "old", ("new", 3600.0), True),
        ("token('new')", "old", ("new", 3600.0), False),
        # an older CLI without the flag: what it has is better than nothing
        (
            "fail('Error: unknown flag: --force-refresh') if len(args) > 6 else token('a', 10)",
            None,
            ("a", 10.0),
            True,
        ),
        (
            "fail('Error: unknown flag: --force-refresh') if len(args) > 6 else token('a', 90)",
            "a",
            ("a", 90.0),
            True,
        ),
        # a login that cannot be refreshed any more still has a token for some minutes
        (
            "fail('Error: refresh token is invalid') if len(args) > 6 else token('a', 200)",
            "b",
            ("a", 200.0),
            True,
        ),
    ],
)
async def test_a_token_that_is_nearly_over_is_asked_for_again(
    tmp_path: Path, script: str, replacing: str | None, expected: tuple[str, float], *, forced: bool
) -> None:
    cli = Cli(tmp_path, script)
    token = await cli.source.fetch(None if replacing is None else Secret(replacing))
    assert (token.secret.reveal(), (token.expires_at or 0) - START_S) == expected
    assert cli.calls == ([ORDINARY, FORCED] if forced else [ORDINARY])


async def test_an_unknown_flag_is_tried_once(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "fail('Error: unknown flag: --force-refresh') if len(args) > 6 else token('a', 10)")
    for _ in range(3):
        await cli.source.fetch(Secret("a"))
    assert cli.calls == [ORDINARY, FORCED, ORDINARY, ORDINARY]


async def test_a_refused_token_that_cannot_be_replaced_says_so(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "fail('Error: refresh token is invalid') if len(args) > 6 else token('a')")
    with pytest.raises(UpstreamError, match="refresh token is invalid"):
        await cli.source.fetch(Secret("a"))


@pytest.mark.parametrize(
    "words", ["Error: cache update: open token-cache.json", "security: exit status 45", "the file is locked"]
)
async def test_a_lost_race_for_the_lock_is_run_again(tmp_path: Path, words: str) -> None:
    cli = Cli(tmp_path, f"fail({words!r}) if len(log) < 3 else token('a')")
    assert (await cli.source.fetch(None)).secret == Secret("a")
    assert cli.slept == [0.1, 0.2]


async def test_a_lock_that_stays_is_a_delay(tmp_path: Path) -> None:
    cli = Cli(tmp_path, "fail('Error: cache update: busy')")
    error = await cli.refusal()
    assert (error.status, error.should_retry, len(cli.calls)) == (503, None, 4)
    assert cli.slept == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    ("script", "expected", "words"),
    [
        (
            "fail('Error: cache: databricks OAuth is not configured for this host\\nUsage: ...')",
            (403, False),
            ("not configured for this host", f"`databricks auth login --host {HOST}`", "exit 1"),
        ),
        (
            'fail(\'\\n\\x1b[31mError: token refresh: "invalid_request" "Refresh token is invalid"\', 7)',
            (403, False),
            ("exit 7", "Refresh token is invalid", "Sign in again"),
        ),
        ("fail('Error: dapi0123456789abcdef is no token')", (403, False), ("***",)),
        ("sys.exit(1)", (403, False), ("no message",)),
        ("fail('Error: ' + 'x' * 5000)", (403, False), ("…",)),
        ("fail('Error: dial tcp: lookup dbc-1: no such host')", (503, None), ("no such host",)),
        ("fail('Error: token refresh: oauth2: cannot fetch token: 503')", (503, None), ("503",)),
        ("fail('Error: No such command \"auth\".', 2)", (403, False), ("old Databricks CLI", "0.200")),
        ("print('not json')", (403, False), ("no token", "Update it")),
        ("print('[]')", (403, False), ("no token",)),
        ('print(\'{"access_token": "a", "expiry": "soon"}\')', (403, False), ("no token",)),
        ('print(\'{"access_token": "a b"}\')', (403, False), ("no token",)),
        ("print('[' * 100000)", (403, False), ("no token",)),
    ],
)
async def test_what_is_said_when_there_is_no_token(
    tmp_path: Path, script: str, expected: tuple[int, bool | None], words: tuple[str, ...]
) -> None:
    error = await Cli(tmp_path, script).refusal()
    assert (error.status, error.should_retry) == expected
    assert [word for word in words if word not in error.message] == [], error.message
    assert "dapi0" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 600


async def test_a_token_without_an_end_has_its_own(tmp_path: Path) -> None:
    text = web_token(exp=START_S + 900)
    cli = Cli(tmp_path, f"print(json.dumps({{'access_token': {text!r}}}))")
    assert (await cli.source.fetch(None)).expires_at == START_S + 900


async def test_a_program_that_is_gone_is_named(tmp_path: Path) -> None:
    error = await Cli(tmp_path, "", program=str(tmp_path / "gone")).refusal()
    assert (error.status, error.should_retry) == (403, False)
    assert "gone: FileNotFoundError" in error.message
    assert "DATABRICKS_CLI_PATH" in error.message


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    """That the error arrives shows it: the program is waited for before."""
    error = await Cli(tmp_path, "time.sleep(3600)", timeout_s=0.05).refusal()
    assert (error.status, "did not end within" in error.message) == (503, True)


async def test_a_call_that_is_given_up_leaves_no_program(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    cli = Cli(tmp_path, "(here / 'pid').write_text(str(os.getpid())); time.sleep(3600)")
    call = asyncio.create_task(cli.source.fetch(None))
    pid = int(await asyncio.to_thread((tmp_path / "pid").read_text))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_that_has_just_ended_need_not_be_killed(tmp_path: Path) -> None:
    """The kill of a timeout may come after the program's own end."""
    program = fake_cli(tmp_path, "time.sleep(3600)")
    source = Cli(tmp_path, "", program=program, timeout_s=0.05).source
    with (
        patch.object(asyncio.subprocess.Process, "kill", autospec=True, side_effect=_kill_twice),
        pytest.raises(UpstreamError, match="did not end"),
    ):
        await source.fetch(None)


def _kill_twice(process: asyncio.subprocess.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    raise ProcessLookupError
