"""`ccr code` as a person uses it: in a terminal, with Esc and the slash commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccr.sandbox import Fault, Script, ToolCall, Turn, Wire
from tests.daemon.waiting import until
from tests.e2e import claude
from tests.e2e.conftest import CCR
from tests.e2e.terminal import ESCAPE, Terminal, home_of_an_old_hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

SLOW = Fault(kind="slow", seconds=0.2, consumes_turn=True)
SCRIPT = Script(
    turns=[
        Turn(text="GREETING"),
        Turn(tools=[ToolCall("Bash", {"command": "echo TOOL-RAN", "description": "say it"})]),
        Turn(text="TOOL-SEEN"),
        Turn(text="BEGUN " + "and on and on " * 50, wire=Wire(piece_chars=8), fault=SLOW),
        Turn(text="AFTERWARDS"),
    ],
)


def test_a_session_in_the_terminal(serve: Callable[..., Service]) -> None:
    service = serve(SCRIPT)
    work = home_of_an_old_hand(service.folder)
    environment = claude.environment(
        service.folder, CCR_HOME=str(service.home), CLAUDE_PATH=str(claude.PROGRAM)
    )
    with Terminal([str(CCR), "code"], work, environment) as terminal:
        terminal.see("❯")
        terminal.type("hello-there")
        terminal.see("GREETING")
        terminal.type("use-a-tool")
        terminal.see("TOOL-SEEN")
        assert "TOOL-RAN" in str(service.workspace.conversation[2].body["messages"][-1])

        terminal.type("go-on-for-long")
        terminal.see("BEGUN")
        terminal.press(ESCAPE)
        until(lambda: service.workspace.conversation[3].closed_early)
        terminal.see("Interrupted")
        terminal.type("and-now")
        terminal.see("AFTERWARDS")

        requests = len(service.workspace.requests)
        terminal.type("/context")
        terminal.see("databricks-claude-sonnet-4-5")
        terminal.see("200k")
        assert len(service.workspace.requests) == requests, "tokens are counted without the provider"
        terminal.type("/exit")
        assert terminal.process.wait(timeout=30) == 0
    assert service.workspace.refusals == []
