"""Sessions of the published client on the native Anthropic route, and with ``auto`` where there is none.

The stories are those of the chat route; what ccr would lose shows in the transcript there as here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ccr.sandbox import Fault, Script, Turn, Usage, Workspace
from tests.e2e.test_sessions import DONE, SMALL, STORIES, bash, comparable, directly, placed, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e
NATIVE = "/serving-endpoints/anthropic/v1/messages"
NATIVE_STORIES = (
    "text",
    "bash",
    "parallel tools",
    "image",
    "pdf",
    "thinking over turns",
    "adaptive thinking",
    "redacted thinking",
    "newest family",
    "small model",
    "tool search",
    "bytes cut anywhere",
)


def paths(service: Service) -> list[str]:
    return [request.path for request in service.workspace.requests if request.method == "POST"]


@pytest.mark.parametrize("name", NATIVE_STORIES)
def test_session_is_the_same_as_without_ccr(name: str, serve: Callable[..., Service], tmp_path: Path) -> None:
    story = STORIES[name]
    prepare(tmp_path, story)
    service = serve(Script(turns=placed(story.turns, tmp_path)), provider={"api": "anthropic"})
    session = service.claude("do it", model=story.model)
    assert session.exit_code == 0, session.text + session.stderr
    assert session.text == story.answer
    assert set(service.statuses()) == {200}
    assert set(paths(service)) == {NATIVE}
    assert len(service.chats()) == len(story.turns), "a request was repeated"
    for file, content in story.after.items():
        assert (session.folder / file).read_text() == content
    assert comparable(session) == directly(name, tmp_path / "direct")


def test_usage_and_the_prompt_cache(serve: Callable[..., Service]) -> None:
    usage = Usage(input=1200, output=34, cache_read=9000, cache_creation=800)
    service = serve(Script(turns=[Turn(text="Hi", usage=usage)]), provider={"api": "anthropic"})
    session = service.claude("hello")
    assert session.usage["input_tokens"] == 1200
    assert session.usage["output_tokens"] == 34
    assert session.usage["cache_read_input_tokens"] == 9000
    assert session.usage["cache_creation_input_tokens"] == 800
    service.workspace.workspace.play(Script(turns=[Turn(tools=[bash("true")]), DONE]))
    assert service.claude("do it").usage["cache_read_input_tokens"] > 10_000


def test_a_cut_answer_is_asked_for_again(serve: Callable[..., Service]) -> None:
    cut = Turn(text="I run it.", tools=[bash("echo hi > out.txt")], fault=Fault(kind="cut", how="end", at=3))
    service = serve(Script(turns=[cut, DONE]), provider={"api": "anthropic"})
    session = service.claude("do it")
    assert session.text == "DONE", session.text + session.stderr
    assert (session.folder / "out.txt").read_text() == "hi\n"


def test_the_gateway_serves_models_of_unity_catalog(serve: Callable[..., Service]) -> None:
    model = "system.ai.claude-haiku-4-5"
    service = serve(
        Script(turns=[Turn(tools=[bash("echo hi > out.txt")]), DONE]),
        provider={"api": "anthropic", "models": [SMALL, model]},
        Router={"default": f"databricks,{SMALL}"},
    )
    session = service.claude("do it", model=model)
    assert session.text == "DONE", session.text + session.stderr
    assert set(paths(service)) == {"/ai-gateway/anthropic/v1/messages"}


def test_auto_goes_on_with_chat_where_there_is_no_native_route(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    name = "thinking over turns"
    story = STORIES[name]
    workspace = Workspace(Script(turns=placed(story.turns, tmp_path)), native="none")
    service = serve(workspace, provider={"api": "auto"})
    session = service.claude("do it", model=story.model)
    assert session.exit_code == 0, session.text + session.stderr
    assert session.text == story.answer
    assert paths(service).count(NATIVE) == 1
    assert service.statuses() == [404, *[200] * len(story.turns)]
    log = (service.home / "logs" / "ccr.log").read_text()
    assert log.count("no native Anthropic route") == 1
    assert comparable(session) == directly(name, tmp_path / "direct")


def test_auto_takes_the_native_route_where_there_is_one(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(tools=[bash("echo hi > out.txt")]), DONE]), provider={"api": "auto"})
    assert service.claude("do it").text == "DONE"
    assert set(paths(service)) == {NATIVE}


def test_a_stricter_endpoint_stops_nobody(serve: Callable[..., Service]) -> None:
    """Keys, a beta and long answers that the endpoint took yesterday: one refusal each, then never again."""
    workspace = Workspace(
        Script(turns=[Turn(tools=[bash("echo hi > out.txt")]), DONE, Turn(text="AGAIN")]),
        refused_keys=["metadata"],
        refused_betas=["interleaved-thinking-2025-05-14"],
        max_output=20_000,
    )
    service = serve(workspace, provider={"api": "anthropic"})
    session = service.claude("do it")
    assert session.text == "DONE", session.text + session.stderr
    assert (session.folder / "out.txt").read_text() == "hi\n"
    refused = [status for status in service.statuses() if status != 200]
    assert 1 <= len(refused) <= 3
    assert service.statuses()[: len(refused)] == refused, "a refusal was met twice"
    count = len(service.statuses())
    assert service.claude("and now?").text == "AGAIN"
    assert set(service.statuses()[count:]) == {200}, "what was learnt was forgotten"
    repairs = json.loads(service.ccr("status", "--json").stdout)["counts"]["repairs"]
    (counts,) = repairs.values()
    assert counts["unknown_field_removed"]["metadata"] >= 3
    assert "max_tokens_lowered" in counts
    assert "unknown_field_removed: metadata" in service.ccr("status").stdout
