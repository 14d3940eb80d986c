"""Tokens of the person's login in the Databricks CLI: ``databricks auth token``.

The CLI keeps one cache for all programs, and two calls at once lose a race for its lock, so such a failure is
tried again. It gives out cached tokens down to their last seconds (databricks/cli#4564), so a token that is
nearly over, or the very one to be replaced, is asked for again with ``--force-refresh``; older CLIs do not
know that flag. Its output is never shown whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from datetime import datetime
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import UpstreamError
from ccr.upstream.auth.sources import excerpt, sign_in_delayed, sign_in_failed
from ccr.upstream.auth.tokens import moment_now, token_from_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.config.model import Secret
    from ccr.upstream.auth.identity import DatabricksCli
    from ccr.upstream.auth.tokens import Moment, Token

CALL_TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 4
JITTER_S: Final = 0.1
NEARLY_OVER_S: Final = 300.0
FORCE: Final = "--force-refresh"

_LOCKED: Final = re.compile(r"cache update|exit status 45|\block(?:ed|ing)?\b|being used by another process")
_NO_FLAG: Final = re.compile(r"unknown flag|no such option|flag provided but not defined")
_LEGACY: Final = re.compile(r"no such command|unknown command")
_NETWORK: Final = re.compile(
    r"dial tcp|no such host|i/o timeout|connection re(?:fused|set)|tls handshake|deadline exceeded"
    r"|network is unreachable|cannot fetch token: (?:429|5\d\d)|temporarily_unavailable"
)
_SECRET_NAME: Final = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|AUTHORIZATION")
_RANDOM: Final = SystemRandom()
_KEPT: Final = frozenset({"DATABRICKS_CONFIG_FILE", "DATABRICKS_AUTH_STORAGE"})
"""The variables of the CLI that say where its files are; all others could overrule host or profile."""


class DatabricksCliSource:
    """The tokens of one login.

    environ: of the CLI, without the secrets in it. jitter: a number between two, in seconds.
    """

    def __init__(
        self,
        identity: DatabricksCli,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], Moment] = moment_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = _RANDOM.uniform,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._identity = identity
        self._environ = environ_of_cli(environ)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._timeout_s = timeout_s
        self._target = (
            ["--profile", identity.profile] if identity.profile else ["--host", identity.host or ""]
        )
        self._knows_force = True

    async def fetch(self, replacing: Secret | None) -> Token:
        """Return a token, another one than ``replacing`` and not nearly over if the CLI can make one."""
        token = await self._token()
        left_s = (token.expires_at or float("inf")) - self._clock().wall_s
        is_same = token.secret == replacing
        if not self._knows_force or (not is_same and left_s >= NEARLY_OVER_S):
            return token
        try:
            return await self._token(FORCE)
        except UpstreamError:
            if is_same and self._knows_force:
                raise
            return token

    def describe(self) -> Mapping[str, str]:
        """Return whose login it is, as far as ccr knows."""
        identity = self._identity
        return {
            "method": "databricks-cli",
            "host": identity.host or "",
            "profile": identity.profile or "",
            "source": identity.source,
        }

    @property
    def _login(self) -> str:
        return f"`databricks auth login {' '.join(self._target)}`"

    async def _token(self, *flags: str) -> Token:
        attempt = 0
        while True:
            status, out, err = await self._run("auth", "token", *self._target, "--output", "json", *flags)
            if status == 0:
                return self._token_in(out)
            attempt += 1
            if attempt == ATTEMPTS or _LOCKED.search(_text(err).lower()) is None:
                raise self._failure(status, _text(err), flags)
            await self._sleep(self._jitter(JITTER_S / 2, JITTER_S * 2 ** (attempt - 1)))

    def _token_in(self, out: bytes) -> Token:
        try:
            values: Any = json.loads(out)
            expiry = datetime.fromisoformat(values["expiry"]).timestamp() if values.get("expiry") else None
            return token_from_text(values.get("access_token"), expiry)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            raise sign_in_failed(
                "Databricks sign-in: `databricks auth token` answered with something that is no token; is "
                f"{self._identity.program} the Databricks CLI? Update it, then {self._login}."
            ) from None

    def _failure(self, status: int, said: str, flags: tuple[str, ...]) -> UpstreamError:
        words = said.lower()
        if flags and _NO_FLAG.search(words):
            self._knows_force = False
        if _LEGACY.search(words):
            return sign_in_failed(
                f"Databricks sign-in: {self._identity.program} is the old Databricks CLI, which has no "
                f"`auth token`. Install version 0.200 or newer, then {self._login}."
            )
        if _LOCKED.search(words) or _NETWORK.search(words):
            return sign_in_delayed(
                f"Databricks sign-in: `databricks auth token` failed for the moment ({excerpt(said)})"
            )
        return sign_in_failed(
            f"Databricks sign-in: `databricks auth token` gave no token (exit {status}: {excerpt(said)}). "
            f"Sign in again: {self._login}"
        )

    async def _run(self, *arguments: str) -> tuple[int, bytes, bytes]:
        """Return exit status, stdout, stderr. Raises UpstreamError when it cannot run, or does not end."""
        program = self._identity.program
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self._environ),
                cwd=os.sep,  # a databricks.yml where ccr was started must not choose the workspace
            )
        except OSError as error:
            raise sign_in_failed(
                f"Databricks sign-in: the Databricks CLI cannot be run ({program}: {type(error).__name__}). "
                f"Install it, or set cli_path (or DATABRICKS_CLI_PATH), then {self._login}."
            ) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise sign_in_delayed(
                f"Databricks sign-in: `databricks auth token` did not end within {self._timeout_s:.0f} s"
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return process.returncode or 0, out, err


def environ_of_cli(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without secrets, and without what would name another workspace than ours."""
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT
        or not (
            _SECRET_NAME.search(name.upper())
            or name.startswith(("DATABRICKS_", "BUNDLE_", "ARM_", "ANTHROPIC_"))
        )
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
