"""Sessions of the published client through a real ccr process, on the strict sandbox.

What the sandbox would refuse shows as an error in the client. What ccr would lose shows in the transcript,
which is compared with the same session run directly against an Anthropic-format server with the same script.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import AnthropicFake, Script, ToolCall, Turn, Usage, Wire, WorkspaceThread
from tests.e2e import claude
from tests.e2e.conftest import BOTH_WAYS, BUILT_IN
from tests.e2e.material import notebook, pdf, png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = [pytest.mark.e2e, BOTH_WAYS]
OLD, MIDDLE, NEW, SMALL = (
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
)


@dataclass(frozen=True)
class Story:
    """One session: what the model says, the files that lie there, what must lie there afterwards."""

    turns: tuple[Turn, ...]
    model: str = OLD
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    answer: str = "DONE"


def bash(command: str) -> ToolCall:
    """A call of the client's Bash tool."""
    return ToolCall("Bash", {"command": command, "description": "run it"})


DONE = Turn(text="DONE")
UNICODE = "größe = 'naïve ☕ 🚀'\n\tzweite Zeile \\d+\\n\n"
STORIES = {
    "text": Story(
        (Turn(text='Hello from the workspace, with ünïcode ☕ and "quotes".'),),
        answer='Hello from the workspace, with ünïcode ☕ and "quotes".',
    ),
    "bash": Story(
        (Turn(text="I run it.", tools=[bash("echo hi > out.txt; cat out.txt")]), DONE),
        after={"out.txt": "hi\n"},
    ),
    "failing tool": Story((Turn(tools=[bash("echo oops; exit 3")]), DONE)),
    "parallel tools": Story(
        (
            Turn(
                text="Three at once.",
                tools=[
                    bash("sleep 0.3; echo one > 1"),
                    bash("echo two > 2"),
                    ToolCall("Read", {"file_path": "a.png"}),
                ],
            ),
            DONE,
        ),
        before={"a.png": png()},
        after={"1": "one\n", "2": "two\n"},
    ),
    "write, read, edit": Story(
        (
            Turn(tools=[ToolCall("Write", {"file_path": "ä b.py", "content": UNICODE})]),
            Turn(tools=[ToolCall("Read", {"file_path": "ä b.py"})]),
            Turn(
                tools=[
                    ToolCall(
                        "Edit", {"file_path": "ä b.py", "old_string": "naïve ☕", "new_string": "ça va 🎈"}
                    )
                ]
            ),
            Turn(tools=[ToolCall("Read", {"file_path": "not-there.txt"})]),
            DONE,
        ),
        after={"ä b.py": UNICODE.replace("naïve ☕", "ça va 🎈")},
    ),
    "image": Story((Turn(tools=[ToolCall("Read", {"file_path": "a.png"})]), DONE), before={"a.png": png()}),
    "pdf": Story((Turn(tools=[ToolCall("Read", {"file_path": "a.pdf"})]), DONE), before={"a.pdf": pdf()}),
    "thinking over turns": Story(
        (
            Turn(thinking="First I look.", text="Looking.", tools=[bash("echo 1 > a")]),
            Turn(thinking="Now the second.", tools=[bash("echo 2 > b")]),
            Turn(thinking="All there.", text="DONE"),
        ),
        after={"a": "1\n", "b": "2\n"},
    ),
    "adaptive thinking": Story(
        (Turn(thinking="Hm.", tools=[bash("echo 1 > a")]), Turn(thinking="Good.", text="DONE")),
        model=MIDDLE,
        after={"a": "1\n"},
    ),
    "redacted thinking": Story(
        (Turn(redacted="secret thoughts", tools=[bash("echo 1 > a")]), Turn(redacted="more", text="DONE")),
        after={"a": "1\n"},
    ),
    "newest family": Story(
        (Turn(thinking="I see.", text="I run it.", tools=[bash("echo hi > out.txt")]), Turn(text="DONE")),
        model=NEW,
        after={"out.txt": "hi\n"},
    ),
    "small model": Story(
        (Turn(tools=[bash("echo hi > out.txt")]), DONE), model=SMALL, after={"out.txt": "hi\n"}
    ),
    "tool search": Story(
        (
            Turn(tools=[ToolCall("ToolSearch", {"query": "select:TaskCreate"})]),
            Turn(tools=[ToolCall("TaskCreate", {"subject": "a task", "description": "to do"})]),
            DONE,
        ),
    ),
    "calls that cannot be read, and one that the token limit cuts": Story(
        (
            Turn(tools=[ToolCall("Bash", '{"command": nope'), bash("echo one > 1")]),
            Turn(tools=[ToolCall("Bash", "nope")]),
            Turn(tools=[ToolCall("NoSuchTool", {"a": 1}), ToolCall("Bash", '{"command": 5}')]),
            Turn(text="Go.", tools=[ToolCall("Bash", '{"command": "echo hi > o')], stop="max_tokens"),
            Turn(text="DONE"),
        ),
        after={"1": "one\n"},
    ),
    "thirty calls at once, then tools that show nothing, and a notebook": Story(
        (
            Turn(tools=[bash(f"echo {number}") for number in range(30)]),
            Turn(
                tools=[
                    bash("true"),
                    bash("printf ' \\n\\n'"),
                    ToolCall("Read", {"file_path": "empty"}),
                    ToolCall("Write", {"file_path": "new", "content": ""}),
                    ToolCall("Read", {"file_path": "n.ipynb"}),
                ]
            ),
            DONE,
        ),
        before={"empty": b"", "n.ipynb": notebook(png())},
        after={"new": ""},
    ),
    "answers of thoughts alone, of a space beside a call, of nothing": Story(
        (
            Turn(thinking="Hm."),
            Turn(thinking="So.", text="\n\n", tools=[bash("echo 1 > a")]),
            Turn(),
            DONE,
        ),
        after={"a": "1\n"},
    ),
    "thinking shown and redacted, and not in every step of a loop": Story(
        (
            Turn(redacted="one", thinking="I see.", text="Two.", tools=[bash("echo 1 > a"), bash("exit 2")]),
            Turn(tools=[bash("echo 2 > b")]),
            Turn(redacted="two", thinking="Third.", text="Go on.", tools=[bash("echo 3 > c")]),
            Turn(thinking="Good.", redacted="three", text="DONE"),
        ),
        after={"a": "1\n", "b": "2\n", "c": "3\n"},
    ),
    "arguments in single characters, two calls interleaved": Story(
        (
            Turn(
                tools=[bash("echo one > 1"), bash("echo two > 2")],
                wire=Wire(arguments="chars", interleave=True),
            ),
            DONE,
        ),
        after={"1": "one\n", "2": "two\n"},
    ),
    "arguments with a leading empty object": Story(
        (Turn(text="Go.", tools=[bash("echo one > 1")], wire=Wire(arguments="braces_first")), DONE),
        after={"1": "one\n"},
    ),
    "bytes cut anywhere": Story(
        (
            Turn(text="Größe ☕🚀", tools=[bash("echo ☕ > 1")], wire=Wire(split_bytes=3, newline="\r\n")),
            DONE,
        ),
        after={"1": "☕\n"},
    ),
}

DIRECT: dict[str, list[dict[str, Any]]] = {}
"""Story -> what `directly` found."""


def prepare(folder: Path, story: Story) -> None:
    """Put the story's files into the working folder."""
    (folder / "work").mkdir(parents=True, exist_ok=True)
    for name, data in story.before.items():
        (folder / "work" / name).write_bytes(data)


def placed(turns: tuple[Turn, ...], folder: Path) -> list[Turn]:
    """The turns with the file names of their calls made absolute, as the client's tools ask for."""
    data = json.dumps(str(folder / "work"))[1:-1]
    found = []
    for turn in turns:
        calls = [
            ToolCall(call.name, {k: f"{data}/{v}" if k == "file_path" else v for k, v in call.input.items()})
            if isinstance(call.input, dict)
            else call
            for call in turn.tools
        ]
        fields: dict[str, Any] = {name: getattr(turn, name) for name in turn.__struct_fields__}
        found.append(Turn(**{**fields, "tools": calls}))
    return found


def directly(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the transcript of a story told to the client by an Anthropic-format server; run once."""
    if name not in DIRECT:
        story = STORIES[name]
        prepare(folder, story)
        with WorkspaceThread(AnthropicFake(Script(turns=placed(story.turns, folder)))) as fake:
            session = claude.run(
                [str(claude.PROGRAM)],
                "do it",
                folder,
                arguments=("--model", story.model),
                ANTHROPIC_BASE_URL=fake.url,
                ANTHROPIC_AUTH_TOKEN=fake.token,
            )
        DIRECT[name] = comparable(session)
    return DIRECT[name]


def comparable(session: claude.Session) -> list[dict[str, Any]]:
    """The transcript without what differs between two upstreams: signatures and redacted data."""
    return [
        {key: value for key, value in block.items() if key not in ("signature", "data")}
        for block in session.transcript()
    ]


@pytest.mark.parametrize("name", STORIES)
def test_session_is_the_same_as_without_ccr(name: str, serve: Callable[..., Service], tmp_path: Path) -> None:
    story = STORIES[name]
    prepare(tmp_path, story)
    service = serve(Script(turns=placed(story.turns, tmp_path)))
    session = service.claude("do it", model=story.model)
    assert session.exit_code == 0, session.text + session.stderr
    assert session.text == story.answer
    assert set(service.statuses()) == {200}
    assert len(service.chats()) == len(story.turns), "a request was repeated"
    for file, content in story.after.items():
        assert (session.folder / file).read_text() == content
    assert comparable(session) == directly(name, tmp_path / "direct")


def test_usage_and_cache_figures_reach_the_client(serve: Callable[..., Service]) -> None:
    usage = Usage(input=1200, output=34, cache_read=9000, cache_creation=800)
    session = serve(Script(turns=[Turn(text="Hi", usage=usage)])).claude("hello")
    assert session.usage["input_tokens"] == 1200
    assert session.usage["output_tokens"] == 34
    assert session.usage["cache_read_input_tokens"] == 9000
    assert session.usage["cache_creation_input_tokens"] == 800


def test_the_prompt_cache_is_hit_on_the_second_turn(serve: Callable[..., Service], steps: str) -> None:
    session = serve(Script(turns=[Turn(tools=[bash("true")]), Turn(text="DONE")])).claude("do it")
    cached = session.usage["cache_read_input_tokens"]
    # The file of Devbox takes every cache_control away: with it nothing is ever cached.
    assert cached > 10_000 if steps == BUILT_IN else cached == 0


def test_an_image_given_by_the_person_arrives(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="A red square.")]))
    content = [
        {"type": "text", "text": "What is this?"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": b64encode(png()).decode()},
        },
    ]
    line = json.dumps({"type": "user", "message": {"role": "user", "content": content}}) + "\n"
    session = service.claude("", stdin=line, arguments=("--input-format", "stream-json"))
    assert session.text == "A red square."
    parts = service.chats()[0]["messages"][-1]["content"]
    assert [part["image_url"]["url"] for part in parts if part["type"] == "image_url"] == [
        "data:image/png;base64," + b64encode(png()).decode()
    ]


def test_web_search_tells_the_model_that_there_is_none(serve: Callable[..., Service]) -> None:
    service = serve(
        Script(
            turns=[
                Turn(tools=[ToolCall("ToolSearch", {"query": "select:WebSearch"})]),
                Turn(tools=[ToolCall("WebSearch", {"query": "news of today"})]),
                Turn(text="I cannot search the web here.", match="Perform a web search"),
                Turn(text="DONE"),
            ]
        )
    )
    session = service.claude("search")
    assert session.exit_code == 0, session.text
    assert session.text == "DONE"
    assert set(service.statuses()) == {200}


def test_a_subagent_works_on_its_own_model(serve: Callable[..., Service]) -> None:
    wanted = {"description": "look", "prompt": "say PONG", "subagent_type": "Explore", "model": "haiku"}
    call = ToolCall("Agent", wanted)
    service = serve(
        Script(
            turns=[
                Turn(tools=[call], match="do it"),
                Turn(text="PONG", match="say PONG"),
                Turn(text="DONE", match="do it"),
            ],
            repeat_last=True,
        )
    )
    session = service.claude("do it", ANTHROPIC_DEFAULT_HAIKU_MODEL=SMALL)
    assert session.exit_code == 0, session.text
    assert session.text == "DONE"
    assert set(service.statuses()) == {200}
    endpoints = {request.path.split("/")[2] for request in service.workspace.conversation}
    assert endpoints == {OLD, SMALL}
