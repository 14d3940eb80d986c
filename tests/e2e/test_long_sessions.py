"""Sessions over several runs of the client, and tools of the person's: the same as without ccr.

Each is told twice, through ccr and directly by an Anthropic-format server.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import AnthropicFake, Script, ToolCall, Turn, WorkspaceThread
from tests.e2e import claude
from tests.e2e.conftest import KEY
from tests.e2e.material import pdf, png
from tests.e2e.test_sessions import DONE, NEW, OLD, bash, comparable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e
Runs = list[tuple[str, dict[str, Any]]]
"""The prompt and the options of each run."""
VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mcp-[a-z-]+-[0-9]+-[0-9a-z]+")
"""Session ids, names of the files that the client keeps pictures in."""


def run_with(model: str, *arguments: str, **options: Any) -> dict[str, Any]:
    return {"arguments": ("--model", model, *arguments), **options}


def told(runs: Runs, folder: Path, url: str, token: str) -> tuple[list[str], str]:
    """Run the client once for each; return the answers, and what it showed without what varies."""
    sessions = [
        claude.run(
            [str(claude.PROGRAM)],
            prompt,
            folder,
            ANTHROPIC_BASE_URL=url,
            ANTHROPIC_AUTH_TOKEN=token,
            **options,
        )
        for prompt, options in runs
    ]
    assert [session.exit_code for session in sessions] == [0] * len(runs), [each.text for each in sessions]
    shown = json.dumps([comparable(session) for session in sessions], indent=1)
    shown = shown.replace(str(folder), "FOLDER").replace(re.sub(r"[^a-zA-Z0-9]", "-", str(folder)), "FOLDER")
    return [session.text for session in sessions], VARYING.sub("VARYING", shown)


def same_both_ways(
    serve: Callable[..., Service], tmp_path: Path, turns: list[Turn], runs: Runs, **changes: Any
) -> tuple[Service, list[str]]:
    """Tell a session twice and compare; return what ccr was part of, and the answers."""
    service = serve(Script(turns=turns), **changes)
    answers, shown = told(runs, tmp_path, service.address, KEY)
    assert set(service.statuses()) == {200}
    with WorkspaceThread(AnthropicFake(Script(turns=turns))) as fake:
        direct = told(runs, tmp_path / "direct", fake.url, fake.token)
    assert direct == (answers, shown)
    return service, answers


@pytest.mark.parametrize(("first", "second"), [(OLD, NEW), (NEW, OLD)])
def test_a_session_goes_on_with_another_model_and_back(
    first: str, second: str, serve: Callable[..., Service], tmp_path: Path
) -> None:
    turns = [
        Turn(thinking="One.", text="I look.", tools=[bash("echo 1")]),
        Turn(thinking="Good.", text="one"),
        Turn(thinking="Two.", tools=[bash("echo 2")]),
        Turn(thinking="Fine.", text="two"),
        Turn(thinking="Three.", redacted="hidden", tools=[bash("exit 3")]),
        Turn(thinking="Well.", text="three"),
    ]
    runs = [
        ("first", run_with(first)),
        ("second", run_with(second, "--continue")),
        ("third", run_with(first, "--continue")),
    ]
    assert same_both_ways(serve, tmp_path, turns, runs)[1] == ["one", "two", "three"]


@pytest.mark.parametrize("model", [OLD, NEW])
def test_thinking_is_turned_off_and_on_again(
    model: str, serve: Callable[..., Service], tmp_path: Path
) -> None:
    turns = [
        Turn(thinking="One.", tools=[bash("echo 1")]),
        Turn(thinking="Good.", text="one"),
        Turn(text="No thoughts.", tools=[bash("echo 2")]),
        Turn(text="two"),
        Turn(thinking="Three.", tools=[bash("echo 3")]),
        Turn(text="three"),
    ]
    runs = [
        ("first", run_with(model)),
        ("second", run_with(model, "--continue", MAX_THINKING_TOKENS="0")),
        ("third", run_with(model, "--continue")),
    ]
    assert same_both_ways(serve, tmp_path, turns, runs)[1] == ["one", "two", "three"]


def test_a_session_is_compacted_and_goes_on(serve: Callable[..., Service], tmp_path: Path) -> None:
    turns = [
        Turn(thinking="One.", tools=[bash("echo 1")]),
        Turn(text="one"),
        Turn(text="<analysis>hm</analysis><summary>We did one.</summary>"),
        Turn(thinking="Two.", tools=[bash("echo 2")]),
        Turn(text="two"),
    ]
    runs = [
        ("first", run_with(NEW)),
        ("/compact", run_with(NEW, "--continue")),
        ("second", run_with(NEW, "--continue")),
    ]
    service, answers = same_both_ways(serve, tmp_path, turns, runs)
    assert (answers[0], answers[2]) == ("one", "two")
    assert "We did one." in json.dumps(service.chats()[-1]["messages"])


def test_results_of_texts_pictures_and_errors(serve: Callable[..., Service], tmp_path: Path) -> None:
    names = ("mixed", "failing", "empty", "picture", "page")
    program, picture = Path(__file__).with_name("tools_server.py"), b64encode(png()).decode()
    server = {"command": sys.executable, "args": [str(program), picture]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"t": server}}))
    turns = [
        Turn(tools=[ToolCall("ToolSearch", {"query": "select:" + ",".join(f"mcp__t__{n}" for n in names)})]),
        Turn(text="All of them.", tools=[ToolCall(f"mcp__t__{name}", {"a": "x"}) for name in names]),
        DONE,
    ]
    runs = [("do it", run_with(OLD, "--mcp-config", str(tmp_path / "mcp.json")))]
    service, answers = same_both_ways(serve, tmp_path, turns, runs)
    assert answers == ["DONE"]
    parts = service.chats()[-1]["messages"][-1]["content"]
    assert sum(part["type"] == "image_url" for part in parts) == 3


def test_what_the_person_gives_over_several_messages(serve: Callable[..., Service], tmp_path: Path) -> None:
    def given(kind: str, media_type: str, data: bytes) -> dict[str, Any]:
        source = {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}
        return {"type": kind, "source": source}

    said: list[Any] = [
        [{"type": "text", "text": "first"}, given("image", "image/png", png())],
        [given("document", "application/pdf", pdf()), {"type": "text", "text": "second"}],
        "third",
    ]
    lines = [{"type": "user", "message": {"role": "user", "content": content}} for content in said]
    turns = [
        Turn(thinking="One.", text="one"),
        Turn(thinking="Two.", tools=[bash("echo 2")]),
        Turn(text="two"),
        Turn(text="three"),
    ]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    runs = [("", run_with(OLD, "--input-format", "stream-json", stdin=stdin))]
    service, _ = same_both_ways(serve, tmp_path, turns, runs)
    sent = json.dumps(service.chats()[-1]["messages"])
    assert (sent.count('"image_url": {'), sent.count('"file": {')) == (1, 1)
