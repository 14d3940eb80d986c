"""The real client with a model that gets no images: it shows what an analysis says, and no unknown tool."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, ToolCall, Turn, Usage
from tests.e2e.conftest import BUILT_IN, DEVBOX_JS
from tests.e2e.material import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ccr.sandbox.view import RequestView
    from tests.e2e import claude
    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

SONNET, EYES = "databricks-claude-sonnet-4-5", "databricks-claude-sonnet-4-6"
ROUTER = {"default": f"databricks,{SONNET}", "image": f"databricks,{EYES}"}
ROUTES = pytest.mark.parametrize(
    ("api", "steps"), [("chat", BUILT_IN), ("chat", DEVBOX_JS), ("anthropic", BUILT_IN)]
)
PLACEHOLDER = re.compile(r"\[Image #(\w+)\] An image is here")
SEEN = "a black square"
THOUGHT = Usage(input=1000, output=40)
LOOKED = Usage(input=300, output=20)


def model(*first: Turn, beside: tuple[ToolCall, ...] = ()) -> Callable[[RequestView], Turn]:
    """Return a model that plays ``first``, then has every image looked at and says what was seen."""
    left = list(first)
    asked: list[str] = []

    def respond(view: RequestView) -> Turn:
        if not view.tools:
            return Turn(text=SEEN, usage=LOOKED)
        if left:
            return left.pop(0)
        [*_, name] = PLACEHOLDER.findall(json.dumps(view.body["messages"]))
        if name not in asked:
            asked.append(name)
            call = ToolCall("analyzeImage", {"imageId": [name], "task": "What is it?"})
            return Turn(
                thinking="I cannot see it.", text="Let me see. ", tools=[call, *beside], usage=THOUGHT
            )
        said = json.dumps(view.body["messages"])
        return Turn(
            thinking="Now I know.", text=f"It is {SEEN if SEEN in said else 'unknown'}.", usage=THOUGHT
        )

    return respond


def served(serve: Callable[..., Service], api: str, respond: Callable[[RequestView], Turn]) -> Service:
    script = Script(turns=[], respond=respond)
    return serve(script, provider={"api": api}, Router=ROUTER, forceUseImageAgent=True)


def check(service: Service, session: claude.Session, *tools: str) -> None:
    """Check what the client shows and what was sent: no image to the model, no call to the client."""
    assert session.exit_code == 0, session.stderr
    assert session.text.endswith(f"It is {SEEN}.")
    blocks = session.blocks()
    assert tuple(block["name"] for block in blocks if block["type"] == "tool_use") == tools
    assert "analyzeImage" not in json.dumps(blocks)
    assert "No such tool" not in json.dumps(blocks)
    models = [_model(request) for request in service.workspace.requests if request.method == "POST"]
    with_bytes = [_has_image(body) for body in service.chats()]
    assert [name for name, found in zip(models, with_bytes, strict=True) if found] == [EYES]
    assert service.workspace.refusals == []


def _model(request: Any) -> str:
    return str(request.body.get("model") or request.path.split("/")[2])


def _has_image(body: dict[str, Any]) -> bool:
    return '"image"' in json.dumps(body) or '"image_url"' in json.dumps(body)


@ROUTES
def test_a_picture_that_is_read(serve: Callable[..., Service], tmp_path: Path, api: str) -> None:
    picture = tmp_path / "small.png"
    picture.write_bytes(png(20, 20, bytes(1200)))
    read = Turn(tools=[ToolCall("Read", {"file_path": str(picture)})], usage=THOUGHT)
    service = served(serve, api, model(read))
    session = service.claude("look at it")
    check(service, session, "Read")
    # Three requests to the model, one to the other: the client counts, and prices, each with its own.
    counted = session.result["modelUsage"]
    assert {name: (used["inputTokens"], used["outputTokens"]) for name, used in counted.items()} == {
        SONNET: (3000, 120),
        EYES: (300, 20),
    }
    log = (service.home / "logs/ccr.log").read_text().splitlines()
    records = [each for each in map(json.loads, log) if "rule" in each]
    assert [each["route"] for each in records] == ["messages", "image_agent", "messages"]
    assert {"image_agent", "image_analyzed"} <= set(records[-1]["rules"])


@ROUTES
def test_a_picture_of_the_persons_and_the_turn_after(serve: Callable[..., Service], api: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": b64encode(png()).decode()}
    shown = [{"type": "text", "text": "[Image #1] What is this?"}, {"type": "image", "source": source}]
    turns = [shown, "And again?"]
    lines = [json.dumps({"type": "user", "message": {"role": "user", "content": each}}) for each in turns]
    service = served(serve, api, model())
    session = service.claude("", stdin="\n".join(lines) + "\n", arguments=("--input-format", "stream-json"))
    check(service, session)
    assert "[Image #1] An image is here" in json.dumps(service.chats()[0])


@ROUTES
def test_a_tool_of_the_clients_beside_the_call(
    serve: Callable[..., Service], tmp_path: Path, api: str
) -> None:
    picture = tmp_path / "small.png"
    picture.write_bytes(png(20, 20, bytes(1200)))
    read = Turn(tools=[ToolCall("Read", {"file_path": str(picture)})])
    beside = ToolCall("Bash", {"command": "echo done", "description": "say"})
    service = served(serve, api, model(read, beside=(beside,)))
    check(service, service.claude("look at it"), "Read", "Bash")
