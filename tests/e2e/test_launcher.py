"""`ccr code`: the real client, started by the real command, with nothing prepared."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ccr.sandbox import Script, ToolCall, Turn
from tests.e2e import claude
from tests.e2e.conftest import BOTH_WAYS, CCR, KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

pytestmark = [pytest.mark.e2e, BOTH_WAYS]


def test_ccr_code_starts_the_service_and_the_client(serve: Callable[..., Service]) -> None:
    call = ToolCall("Bash", {"command": "env", "description": "show the environment"})
    service = serve(Script(turns=[Turn(tools=[call]), Turn(text="DONE")]))
    assert service.ccr("stop").returncode == 0
    session = claude.run(
        [str(CCR), "code"],
        'say "DONE" --not-an-option $HOME `x`',
        service.folder,
        CCR_HOME=str(service.home),
        CLAUDE_PATH=str(claude.PROGRAM),
        ANTHROPIC_API_KEY="must-not-survive",
    )
    assert session.exit_code == 0, session.text + session.stderr
    assert session.text == "DONE"
    asked = json.dumps(service.chats()[0]["messages"])
    assert 'say \\"DONE\\" --not-an-option $HOME `x`' in asked.replace('\\\\"', '\\"')
    shown = json.dumps(session.blocks())
    assert service.workspace.token not in shown, "a provider's token must not reach the client's children"
    assert "must-not-survive" not in shown
    assert service.ccr("status").returncode == 0, "the service stays up"


def test_the_exit_code_is_the_client_s(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="x")]))
    done = service.ccr("code", "--no-such-option-of-claude", CLAUDE_PATH=str(claude.PROGRAM))
    assert done.returncode == 1
    assert "no-such-option-of-claude" in done.stderr


def test_a_missing_client_is_one_clear_line(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="x")]))
    only_ccr = service.folder / "bin"
    only_ccr.mkdir()
    (only_ccr / "ccr").symlink_to(CCR)
    done = service.ccr("code", PATH=str(only_ccr))
    assert done.returncode == 127
    assert done.stderr.strip().count("\n") == 0
    assert "npm install -g @anthropic-ai/claude-code" in done.stderr


def test_the_printed_environment_works_in_a_shell(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="Hello")]))
    shell = shutil.which("bash")
    assert shell
    line = f'eval "$({CCR} env --shell bash)" && exec {claude.PROGRAM} "$@"'
    session = claude.run([shell, "-c", line, "bash"], "hi", service.folder, CCR_HOME=str(service.home))
    assert session.text == "Hello", session.stderr
    assert KEY not in session.stderr
