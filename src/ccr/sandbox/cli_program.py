"""The program that stands in for the Databricks CLI; fake_cli.py puts it into a folder.

Run as ``python cli_program.py STATE …arguments of the CLI…``, with the standard library alone. STATE is a
JSON file that holds what this login knows and how it is to fail; each call is written into it. The wordings
are those that clients of the real program read (``cmd/auth/token``, reference notes databricks.md §6).
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "Databricks CLI v0.290.0"
TAKING_VALUE = {
    "--host": "host",
    "--profile": "profile",
    "-p": "profile",
    "--output": "output",
    "-o": "output",
}
TIMEOUT_S = 20.0


class CliError(Exception):
    """What is printed on stderr before the program ends with exit code 1."""


def main(arguments: list[str]) -> int:
    """Run one call; returns the exit code. arguments: the state file, then those of the CLI."""
    with held_state(Path(arguments[0])) as state:
        state["calls"].append({"arguments": arguments[1:], "environ": sorted(os.environ)})
        try:
            said, exit_code = _answer(state, arguments[1:]), 0
        except CliError as error:
            said, exit_code = str(error), 1
    print(said if exit_code == 0 else f"Error: {said}", file=sys.stderr if exit_code else sys.stdout)
    return exit_code


@contextmanager
def held_state(file: Path) -> Iterator[dict[str, Any]]:
    """Give the state to one program at a time, and write what it has become."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(file.read_text())
        yield state
        replacement = file.with_suffix(".new")
        replacement.write_text(json.dumps(state))
        replacement.replace(file)


def _answer(state: dict[str, Any], arguments: list[str]) -> str:
    if arguments == ["--version"]:
        return VERSION
    if arguments[:2] != ["auth", "token"]:
        raise CliError(f'unknown command "{" ".join(arguments[:2])}" for "databricks"')
    options = _options(arguments[2:])
    is_forced = "force" in options
    if is_forced and not state["knows_force_refresh"]:
        raise CliError("unknown flag: --force-refresh")
    host = _host(state, options)
    if state["says"] is not None:
        return str(state["says"])
    if host != state["host"] or state["refresh_token"] is None:
        raise CliError(
            "cache: databricks OAuth is not configured for this host. Try logging in again with "
            f"`databricks auth login --host {host}` before retrying."
        )
    if state["locked"] > 0:
        state["locked"] -= 1
        raise CliError(f"{'forced ' if is_forced else ''}token refresh: cache update: exit status 45")
    token, now = state["cached"], time.time()
    if is_forced or token is None or token["ends_at"] - now <= state["renews_below_s"]:
        token = state["cached"] = _renewed(state, host)
    ends_at = token["ends_at"]
    if state["told_left_s"] is not None and not is_forced:
        ends_at = now + state["told_left_s"]
    return json.dumps(
        {"access_token": token["access_token"], "token_type": "Bearer", "expiry": _expiry(ends_at)}, indent=2
    )


def _options(arguments: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--force-refresh":
            found["force"] = ""
        elif name in TAKING_VALUE:
            given = value if equals else next(rest, None)
            if given is None:
                raise CliError(f"flag needs an argument: {name}")
            found[TAKING_VALUE[name]] = given
        else:
            raise CliError(f"unknown flag: {argument}")
    if found.get("output", "json") not in {"json", "text"}:
        raise CliError(f'invalid argument "{found["output"]}" for "-o, --output" flag')
    return found


def _host(state: dict[str, Any], options: dict[str, str]) -> str:
    if "profile" not in options:
        return options.get("host", "").rstrip("/")
    profile = options["profile"]
    if profile not in state["profiles"]:
        raise CliError(f"resolve: the config file has no {profile} profile configured")
    return str(state["profiles"][profile])


def _renewed(state: dict[str, Any], host: str) -> dict[str, Any]:
    """Ask the workspace for a token, as a browser's login some time ago allows."""
    form = {
        "grant_type": "refresh_token",
        "client_id": "databricks-cli",
        "refresh_token": state["refresh_token"],
    }
    asked = urllib.request.Request(f"{host}/oidc/v1/token", urllib.parse.urlencode(form).encode())  # noqa: S310 - the sandbox's own http
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked_at = time.time()
    try:
        with opener.open(asked, timeout=TIMEOUT_S) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        if '"invalid_grant"' in said:
            raise CliError(
                "A new access token could not be retrieved because the refresh token is invalid. To "
                f"reauthenticate, run `databricks auth login --host {host}`"
            ) from error
        raise CliError(f"token refresh: oauth2: cannot fetch token: {error.code}") from error
    except OSError as error:
        raise CliError(f'token refresh: Post "{host}/oidc/v1/token": dial tcp: connection refused') from error
    except ValueError as error:
        raise CliError(f"token refresh: {type(error).__name__}") from error
    return {"access_token": answer["access_token"], "ends_at": asked_at + answer["expires_in"]}


def _expiry(seconds: float) -> str:
    """Return a time as Go prints it, with nine digits."""
    when = datetime.fromtimestamp(seconds, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
