"""What the person at the real client sees when something goes wrong behind or in front of ccr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccr.sandbox import AnthropicFake, Fault, Script, ToolCall, Turn, WorkspaceThread
from tests.e2e import claude
from tests.e2e.conftest import BOTH_WAYS, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = [pytest.mark.e2e, BOTH_WAYS]
LONG = "A long answer that is cut somewhere in the middle, and then told again from its very start."
RUN = ToolCall("Bash", {"command": "echo ran >> runs", "description": "run it"})


@pytest.mark.fault(
    "E130", outcome="what it does without ccr between, or the one sentence that names the remedy"
)
def test_a_stream_cut_in_the_middle_of_a_text_is_asked_again(serve: Callable[..., Service]) -> None:
    service = serve(
        Script(
            turns=[
                Turn(
                    text=LONG,
                    fault=Fault(kind="cut", at=3),
                )
            ]
        )
    )
    session = service.claude("talk")
    assert session.exit_code == 0, session.text
    assert session.text == LONG
    first, second = service.chats()
    assert first["stream"] is True
    assert not second.get("stream"), "the client repeats without streaming"


def test_a_stream_cut_behind_a_text_is_what_it_is_without_ccr(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    """Newer releases ask again, older ones give up: ccr must not make a difference."""
    turns = [Turn(text="Now.", tools=[RUN], fault=Fault(kind="cut", at=5)), Turn(text="DONE")]
    session = serve(Script(turns=turns)).claude("do it")
    with WorkspaceThread(AnthropicFake(Script(turns=turns))) as fake:
        direct = claude.run(
            [str(claude.PROGRAM)],
            "do it",
            tmp_path / "direct",
            arguments=("--model", MODELS[0]),
            ANTHROPIC_BASE_URL=fake.url,
            ANTHROPIC_AUTH_TOKEN=fake.token,
        )
    assert session.exit_code == direct.exit_code, session.text
    runs = [folder / "runs" for folder in (session.folder, direct.folder)]
    assert runs[0].exists() == runs[1].exists()
    if runs[0].exists():
        assert runs[0].read_text() == "ran\n", "the command ran once"


@pytest.mark.fault(
    "E130", outcome="what it does without ccr between, or the one sentence that names the remedy"
)
def test_an_error_inside_the_stream_is_not_taken_for_an_answer(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text=LONG, fault=Fault(kind="error_event", at=3))]))
    session = service.claude("talk")
    assert session.exit_code == 0, session.text
    assert session.text == LONG
    assert len(service.chats()) == 2


@pytest.mark.parametrize("retry_after", ["1", None])
@pytest.mark.fault(
    "E130", outcome="what it does without ccr between, or the one sentence that names the remedy"
)
def test_a_rate_limit_is_waited_for(serve: Callable[..., Service], retry_after: str | None) -> None:
    fault = Fault(kind="status", status=429, retry_after=retry_after)
    service = serve(Script(turns=[Turn(text="after the limit", fault=fault)]))
    session = service.claude("talk")
    assert session.exit_code == 0, session.text
    assert session.text == "after the limit"
    assert service.statuses() == [429, 200]


@pytest.mark.fault("S73", outcome="400 in the words by which the client compacts")
def test_an_overflow_ends_in_the_words_the_client_knows(serve: Callable[..., Service]) -> None:
    body = {"error_code": "BAD_REQUEST", "message": "Input is too long for requested model."}
    fault = Fault(kind="status", status=400, body=body, times=99)
    session = serve(Script(turns=[Turn(text="never", fault=fault)])).claude("talk")
    assert session.exit_code == 1
    assert session.result["terminal_reason"] == "prompt_too_long"


def test_a_wrong_local_key_is_refused_at_once(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="never")]))
    session = service.claude("talk", ANTHROPIC_AUTH_TOKEN="wrong", CLAUDE_CODE_MAX_RETRIES="10")
    assert session.exit_code == 1
    assert "403" in session.text
    assert "ccr code" in session.text
    assert service.chats() == []


def test_a_refused_provider_token_names_the_provider(serve: Callable[..., Service]) -> None:
    fault = Fault(
        kind="status", status=403, body={"error_code": "403", "message": "Invalid access token."}, times=99
    )
    service = serve(Script(turns=[Turn(text="never", fault=fault)]))
    session = service.claude("talk", CLAUDE_CODE_MAX_RETRIES="10")
    assert session.exit_code == 1
    assert "403" in session.text
    assert "databricks" in session.text
    assert len(service.chats()) == 1, "a definitive refusal is not repeated"


def test_an_unknown_model_is_named_with_what_there_is(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="never")]))
    session = service.claude("talk", model="databricks,no-such-model", CLAUDE_CODE_MAX_RETRIES="10")
    assert session.exit_code == 1
    assert "no-such-model" in session.text
    assert "databricks-claude-sonnet-4-5" in session.text


def test_a_dead_workspace_is_named(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="never")]))
    service.lose_workspace()
    session = service.claude("talk")
    assert session.exit_code == 1
    assert "502" in session.text
    assert "databricks" in session.text


@pytest.mark.fault("S75", outcome="502 that says it is a page")
def test_a_login_page_is_not_a_riddle(serve: Callable[..., Service]) -> None:
    fault = Fault(kind="html", status=200, times=99)
    session = serve(Script(turns=[Turn(text="never", fault=fault)])).claude("talk")
    assert session.exit_code == 1
    assert "web page" in session.text
