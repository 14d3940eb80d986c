"""A stand-in for the Databricks CLI: an executable ``databricks`` in a folder, signed in to a workspace."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


PROGRAM = Path(__file__).with_name("cli_program.py")


@dataclass(frozen=True)
class CliCall:
    """One call of the program. arguments: after its name. environ: the names of its variables."""

    arguments: tuple[str, ...]
    environ: frozenset[str]

    @property
    def is_forced(self) -> bool:
        """Whether a new token was asked for, whatever the cached one is worth."""
        return "--force-refresh" in self.arguments


class FakeCli:
    """``databricks auth token --host H | --profile P --output json [--force-refresh]``, for POSIX systems.

    folder: where the program and its state are put. host: the workspace's URL. login: a refresh token of the
    workspace's ``logins``; None: not signed in. profiles: name -> host. The program keeps a token until
    ``renews_below_s`` are left, as the real one does (databricks/cli#4564).
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        login: str | None,
        *,
        profiles: Mapping[str, str] | None = None,
        renews_below_s: float = 10.0,
        knows_force_refresh: bool = True,
    ) -> None:
        self.folder = folder
        self.program = folder / "databricks"
        self._state_file = folder / "databricks-state.json"
        state: dict[str, Any] = {
            "calls": [],
            "host": host.rstrip("/"),
            "refresh_token": login,
            "profiles": dict(profiles or {}),
            "renews_below_s": renews_below_s,
            "knows_force_refresh": knows_force_refresh,
            "told_left_s": None,
            "locked": 0,
            "says": None,
            "cached": None,
        }
        self._state_file.write_text(json.dumps(state))
        command = shlex.join([sys.executable, "-I", str(PROGRAM), str(self._state_file)])
        self.program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[CliCall]:
        """Every call so far, in order."""
        calls = json.loads(self._state_file.read_text())["calls"]
        return [CliCall(tuple(call["arguments"]), frozenset(call["environ"])) for call in calls]

    def log_in(self, login: str) -> None:
        """Sign in, as ``databricks auth login`` does."""
        self._change(refresh_token=login, cached=None)

    def log_out(self) -> None:
        """Forget the login and its token."""
        self._change(refresh_token=None, cached=None)

    def lock(self, times: int) -> None:
        """Let the next calls lose the race for the cache's lock."""
        self._change(locked=times)

    def tell_left(self, seconds: float | None) -> None:
        """Tell of a nearly expired token unless a new one is forced; None ends that."""
        self._change(told_left_s=seconds)

    def say(self, text: str | None) -> None:
        """Print this, whatever was asked; None ends that."""
        self._change(says=text)

    def _change(self, **values: Any) -> None:
        from ccr.sandbox.cli_program import held_state  # imported late: not every system has its lock

        with held_state(self._state_file) as state:
            state.update(values)
