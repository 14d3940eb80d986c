"""What the page does by ccr's own commands, in a process of their own: the same words, the same exit codes.

So that the person's own code (transformers, a custom router) is never loaded into the process of the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACTIONS: Final = ("start", "stop", "restart")
DEADLINE_S: Final = 120.0
"""A stop waits for running answers (STOP_TIMEOUT_MS, 30 s), a start for health."""


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    exit_code: int
    output: str
    errors: str


async def run_ccr(environ: Mapping[str, str], *arguments: str, given: bytes = b"") -> Done:
    """Run ``ccr arguments…``. Raises RequestError (504) when it takes too long; then it was ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "ccr.cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environ),
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            output, errors = await process.communicate(given)
    except TimeoutError as error:
        raise RequestError(f"`ccr {arguments[0]}` took more than {DEADLINE_S:.0f} s", status=504) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Done(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))


async def service_done(environ: Mapping[str, str], action: object) -> dict[str, Any]:
    """Start, stop or restart the service; return what the command said. Raises RequestError."""
    if action not in SERVICE_ACTIONS:
        raise RequestError(f"the service is told {', '.join(SERVICE_ACTIONS)}")
    done = await run_ccr(environ, str(action))
    return {"ok": done.exit_code == 0, "said": _lines(done.output) + _lines(done.errors)}


async def checked(environ: Mapping[str, str]) -> dict[str, Any]:
    """Check the configuration with the person's own files, as `ccr config check` does."""
    done = await run_ccr(environ, "config", "check", "--json")
    return _values(done)


async def explained(environ: Mapping[str, str], body: str, *, is_chat: bool, session: str) -> dict[str, Any]:
    """Explain a request, as `ccr route explain --json` does. Raises RequestError with its sentence."""
    options = (*(["--chat"] if is_chat else []), *([f"--session={session}"] if session else []))
    done = await run_ccr(environ, "route", "explain", "-", "--json", *options, given=body.encode())
    if done.exit_code:
        raise RequestError("\n".join(_lines(done.errors)) or "the request could not be explained")
    return _values(done)


def _values(done: Done) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(done.output)
    except ValueError as error:
        said = "\n".join(_lines(done.errors)) or "the command said nothing that can be read"
        raise RequestError(said, status=500) from error
    return values


def _lines(text: str) -> list[str]:
    return [line.removeprefix("ccr: ") for line in text.splitlines() if line.strip()]
