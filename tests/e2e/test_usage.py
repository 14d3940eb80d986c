"""What ``ccr usage`` says of a session of the real client is what the client itself accounts for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, ToolCall, Turn, Usage
from tests.e2e.conftest import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

PAIRS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
}
"""Our names of the figures, and those of the client's account by model."""


def bash(command: str) -> ToolCall:
    return ToolCall("Bash", {"command": command, "description": "a step"})


@pytest.mark.parametrize("api", ["chat", "anthropic"])
def test_the_figures_are_the_client_s_own(
    serve: Callable[..., Service], api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # the client's, in which it keeps its sessions
    turns = [
        Turn(tools=[bash("true")], usage=Usage(input=1200, output=34, cache_creation=8000)),
        Turn(tools=[bash("echo a"), bash("echo b")], usage=Usage(input=90, output=57, cache_read=8000)),
        Turn(text="DONE", usage=Usage(input=11, output=3, cache_read=8090, cache_creation=17)),
    ]
    service = serve(Script(turns=turns), provider={"api": api})
    session = service.claude("canary-of-the-prompt: do it")
    assert session.text == "DONE", session.stderr
    assert service.ccr("stop").returncode == 0

    def usage(by: str) -> dict[str, dict[str, Any]]:
        document = json.loads(service.ccr("usage", "--by", by, "--json").stdout)
        assert document["total"]["without_usage"] == 0
        assert document["total"]["errors"] == 0
        return {line["key"]: line for line in document["lines"]}

    by_model = usage("model")
    accounted = session.result["modelUsage"]
    assert set(by_model) == set(accounted)
    for model, line in by_model.items():
        assert {ours: line[ours] for ours in PAIRS} == {
            ours: accounted[model][theirs] for ours, theirs in PAIRS.items()
        }
    main = by_model[MODELS[0]]
    assert main["cost_usd"] == pytest.approx(accounted[MODELS[0]]["costUSD"], abs=1e-6)
    [of_session] = usage("session").values()
    assert of_session["key"] == session.result["session_id"]
    [of_project] = usage("project").values()
    assert of_project["key"] == str(session.folder).replace("/", "-").replace("_", "-")
    [agent] = usage("agent")
    assert agent.startswith("claude-cli/")
    rows = [json.loads(line) for line in service.ccr("requests", "--json").stdout.splitlines()]
    assert len(rows) == len(service.workspace.requests)
    assert {row["outcome"] for row in rows} == {"ok"}
    database = (service.home / "usage.sqlite").read_bytes()
    assert b"canary-of-the-prompt" not in database
    assert b"DONE" not in database
