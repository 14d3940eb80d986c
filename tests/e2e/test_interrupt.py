"""A person who presses Ctrl-C while the model answers: nothing is paid for that nobody reads."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Fault, Script, Turn
from tests.daemon.waiting import until
from tests.e2e import claude
from tests.e2e.conftest import KEY, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

LONG = "A long answer that is not read to its end. " * 20


@pytest.mark.parametrize("where", ["headers", "first_byte", "middle"])
@pytest.mark.fault("E130", outcome="Ctrl-C: the provider is left at once; recorded as cancelled")
def test_ctrl_c(serve: Callable[..., Service], where: Any) -> None:
    stall = Fault(kind="stall", where=where, seconds=60)
    service = serve(Script(turns=[Turn(text=LONG, fault=stall)]))
    work = service.folder / "work"
    for path in (work, service.folder / "home"):
        path.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(claude.PROGRAM), "-p", "talk", "--model", MODELS[0]],
        cwd=work,
        env=claude.environment(service.folder, ANTHROPIC_BASE_URL=service.address, ANTHROPIC_AUTH_TOKEN=KEY),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until(lambda: bool(service.chats()))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    log = service.home / "logs" / "ccr.log"
    until(lambda: '"outcome": "cancelled"' in log.read_text())
    assert "Traceback" not in log.read_text()
