"""The real client's requests find the routes that the Router names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, ToolCall, Turn
from tests.e2e.conftest import BUILT_IN, DEVBOX_JS
from tests.e2e.material import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

SONNET, OTHER_SONNET, OPUS, HAIKU = (
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
)
ROUTER = {
    "default": f"databricks,{SONNET}",
    "think": f"databricks,{OPUS}",
    "image": f"databricks,{OTHER_SONNET}",
    "background": f"databricks,{HAIKU}",
}
ROUTES = pytest.mark.parametrize(
    ("api", "steps"), [("chat", BUILT_IN), ("chat", DEVBOX_JS), ("anthropic", BUILT_IN)]
)


def rules(service: Service) -> list[tuple[str, str]]:
    """Return rule and model of each request, in order."""
    lines = (service.home / "logs/ccr.log").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [(each["rule"], each["upstream_model"]) for each in records if "rule" in each]


def served(serve: Callable[..., Service], api: str, *turns: Turn, **changes: Any) -> Service:
    return serve(Script(turns=list(turns)), provider={"api": api}, Router=ROUTER, **changes)


@ROUTES
def test_the_ordinary_and_the_ultrathink_prompt(serve: Callable[..., Service], api: str) -> None:
    service = served(serve, api, Turn(text="one"), Turn(text="two"))
    assert service.claude("say hello", model="claude-sonnet-5").exit_code == 0
    assert service.claude("ultrathink and say hello", model="claude-sonnet-5").exit_code == 0
    assert rules(service) == [("default", SONNET), ("think", OPUS)]


@ROUTES
def test_a_picture_that_is_read(serve: Callable[..., Service], tmp_path: Path, api: str) -> None:
    picture = tmp_path / "small.png"
    picture.write_bytes(png(20, 20, bytes(1200)))
    read = Turn(tools=[ToolCall("Read", {"file_path": str(picture)})])
    service = served(serve, api, read, Turn(text="black"))
    assert service.claude("look at it").text == "black"
    assert rules(service) == [("model", SONNET), ("image", OTHER_SONNET)]


@ROUTES
def test_a_subagent_goes_where_its_tag_says(serve: Callable[..., Service], api: str) -> None:
    prompt = f"<CCR-SUBAGENT-MODEL>databricks,{HAIKU}</CCR-SUBAGENT-MODEL>\nsay hello"
    agent = Turn(tools=[ToolCall("Agent", {"description": "greet", "prompt": prompt})])
    service = served(serve, api, agent, Turn(text="hello"), Turn(text="it said hello"), Turn(text="done"))
    assert service.claude("greet").exit_code == 0
    assert ("subagent", HAIKU) in rules(service)
    tagged = [body for body in service.chats() if "CCR-SUBAGENT" in json.dumps(body["messages"][0])]
    assert tagged == []


@pytest.mark.parametrize("model", ["claude-sonnet-5", SONNET])
@ROUTES
def test_a_system_prompt_of_the_persons(
    serve: Callable[..., Service], tmp_path: Path, api: str, model: str
) -> None:
    prompt = tmp_path / "prompt.md"
    prompt.write_text("You are the assistant of this house.")
    service = served(serve, api, Turn(text="one"), REWRITE_SYSTEM_PROMPT=str(prompt))
    assert service.claude("say hello", model=model).text == "one"
    [body] = service.chats()
    sent = json.dumps(body)
    assert "You are the assistant of this house.\\n# Environment\\n" in sent
    assert "# Harness" not in sent
    assert "# Tone and style" not in sent
    assert str(tmp_path / "work") in sent, "the client says where it works"


@ROUTES
def test_the_router_of_a_project(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "home" / ".claude"))
    name = str(tmp_path / "work").replace("/", "-").replace("_", "-")
    service = served(serve, api, Turn(text="one"), Turn(text="two"))
    folder = service.home / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"Router": {"default": f"databricks,{OTHER_SONNET}"}}))
    first = service.claude("say hello", model="claude-sonnet-5")
    session = first.result["session_id"]
    service.claude("again", model="claude-sonnet-5", arguments=("--resume", session))
    # Also before the client has written its transcript: its requests name the folder it works in.
    assert {model for _, model in rules(service) if "sonnet" in model} == {OTHER_SONNET}
