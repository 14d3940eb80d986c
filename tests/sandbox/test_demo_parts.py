"""The demo's own client, its reading of the published one, and its stop-watch."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import AnthropicFake, Fault, Script, ToolCall, Turn, Usage, Wire, WorkspaceThread
from ccr.sandbox.demo_claude import claude_in, conversation_from, converse_with_claude, version_of
from ccr.sandbox.demo_client import USAGE_NAMES, DemoError, converse, message_from_events
from ccr.sandbox.demo_timing import Asking, medians_of

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "claude-sonnet-4-5"
CALL = ToolCall("Bash", {"command": "echo out; pwd >&2; false"})


class TestOwnClient:
    def test_it_runs_a_tool_and_tells_what_was_said(self, tmp_path: Path) -> None:
        turns = [
            Turn(thinking="I think.", text="Running.", tools=[CALL], usage=Usage(1, 2, 3, 4)),
            Turn(text="Done.", usage=Usage(10, 20, 30, 40)),
        ]
        with WorkspaceThread(AnthropicFake(Script(turns=turns))) as fake:
            conversation = converse(fake.url, "key", MODEL, "do it", tmp_path)
            result = fake.requests[1].body["messages"][-1]["content"][0]
        assert conversation.lines == [
            ("thinking", "I think."),
            ("model", "Running."),
            ("Bash", "echo out; pwd >&2; false"),
            ("result", f"out\n{tmp_path}"),
            ("model", "Done."),
        ]
        assert conversation.result == "Done."
        assert conversation.usage == dict(zip(USAGE_NAMES, (11, 22, 33, 44), strict=True))
        assert result["is_error"] is True
        assert fake.refusals == []

    def test_a_conversation_without_end(self, tmp_path: Path) -> None:
        script = Script(turns=[Turn(tools=[ToolCall("Bash", {"command": "true"})])], repeat_last=True)
        with (
            WorkspaceThread(AnthropicFake(script)) as fake,
            pytest.raises(DemoError, match="did not end within 5 turns"),
        ):
            converse(fake.url, "key", MODEL, "do it", tmp_path)

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault(kind="status", status=500), "answered 500"),
            (Fault(kind="reset"), "Reset"),
            (Fault(kind="error_event"), "the stream told an error"),
            (Fault(kind="garbage", at=1), "an event that is no JSON"),
            (Fault(kind="cut", how="end", at=3), "the stream ended before the message did"),
        ],
    )
    def test_faults_are_told(self, tmp_path: Path, fault: Fault, expected: str) -> None:
        script = Script(turns=[Turn(text="Hello", fault=fault)])
        with WorkspaceThread(AnthropicFake(script)) as fake, pytest.raises(DemoError, match=expected):
            converse(fake.url, "key", MODEL, "do it", tmp_path)

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{closed.getsockname()[1]}"
            with pytest.raises(DemoError, match="Refused"):
                converse(address, "key", MODEL, "do it", tmp_path)

    def test_no_events_are_no_message(self) -> None:
        with pytest.raises(DemoError, match="ended before the message did"):
            message_from_events([])

    def test_arguments_in_any_pieces(self, tmp_path: Path) -> None:
        turn = Turn(tools=[ToolCall("Bash", {"command": "true"})], wire=Wire(arguments="chars"))
        with WorkspaceThread(AnthropicFake(Script(turns=[turn, Turn(text="Done.")]))) as fake:
            assert converse(fake.url, "key", MODEL, "do it", tmp_path).result == "Done."


def event(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": role, "message": {"role": role, "content": list(blocks)}}


RESULT = {
    "type": "result",
    "is_error": False,
    "result": "Done.",
    "usage": {"input_tokens": 5, "output_tokens": 6},
}


class TestPublishedClient:
    def test_what_it_prints_is_understood(self) -> None:
        events = [
            {"type": "system", "subtype": "init"},
            event("assistant", {"type": "thinking", "thinking": "", "signature": "s"}),
            event("assistant", {"type": "tool_use", "name": "Read", "input": {"file_path": "a"}}),
            event(
                "user",
                {"type": "tool_result", "content": [{"type": "text", "text": "x\n"}, {"type": "image"}]},
            ),
            event("user", {"type": "tool_result", "content": None}),
            {"type": "user", "message": {"role": "user", "content": "plain"}},
            event("assistant", {"type": "text", "text": "Done."}),
            RESULT,
        ]
        conversation = conversation_from(events, 0, "")
        assert conversation.lines == [
            ("Read", "{'file_path': 'a'}"),
            ("result", "x"),
            ("result", ""),
            ("model", "Done."),
        ]
        assert conversation.usage["output_tokens"] == 6

    @pytest.mark.parametrize(
        ("events", "exit_code", "stderr", "expected"),
        [
            (
                [RESULT | {"is_error": True, "result": "API Error: 403"}],
                1,
                "",
                "exit code 1 and said: API Error: 403",
            ),
            ([], 127, "not installed", "exit code 127 and said: not installed"),
            ([], 0, "", "said: nothing"),
        ],
    )
    def test_a_bad_end(
        self, events: list[dict[str, Any]], exit_code: int, stderr: str, expected: str
    ) -> None:
        with pytest.raises(DemoError, match=expected):
            conversation_from(events, exit_code, stderr)

    def test_it_is_found_by_name_or_by_variable(self, tmp_path: Path) -> None:
        program = tmp_path / "claude"
        program.write_text("#!/bin/sh\necho 9.9.9\n")
        assert claude_in({"CLAUDE_PATH": str(program)}) is None
        program.chmod(0o755)
        assert claude_in({"CLAUDE_PATH": str(program)}) == str(program)
        assert claude_in({"PATH": str(tmp_path)}) == str(program)
        assert claude_in({"PATH": str(tmp_path / "else")}) is None
        assert version_of(str(program), {}) == "9.9.9"

    def test_a_program_that_cannot_be_run(self, tmp_path: Path) -> None:
        with pytest.raises(DemoError, match="cannot be run: No such file"):
            version_of(str(tmp_path / "nothing"), {})

    def test_a_program_that_does_not_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ccr.sandbox.demo_claude.TIMEOUT_S", 0.2)
        with pytest.raises(DemoError, match="did not end within"):
            version_of(*endless(tmp_path))

    def test_it_runs_away_from_the_persons_files(self, tmp_path: Path) -> None:
        told = {"type": "result", "is_error": False, "usage": {}}
        program = (
            f"import json, os; print(json.dumps({{**{told!r}, 'result': json.dumps(dict(os.environ))}}))"
        )
        ccr = [sys.executable, "-c", program]
        environ = {"HOME": "/home/person", "ANTHROPIC_API_KEY": "theirs", "PATH": "/bin"}
        work = tmp_path / "work"
        work.mkdir()
        seen = json.loads(converse_with_claude(ccr, environ, tmp_path / "home", "hi", work).result)
        assert seen["HOME"] == str(tmp_path / "client-home")
        assert seen["CCR_HOME"] == str(tmp_path / "home")
        assert seen["PATH"] == "/bin"
        assert "ANTHROPIC_API_KEY" not in seen


class TestStopWatch:
    def test_both_ways_are_asked_as_often(self) -> None:
        with WorkspaceThread(AnthropicFake(Script(turns=[Turn(text="Hi")], repeat_last=True))) as fake:
            body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            one, two = (
                Asking.of(fake.url, "/v1/messages", {"x-api-key": key}, body) for key in ("one", "two")
            )
            medians = medians_of(one, two, rounds=2)
            keys = [record.headers["x-api-key"] for record in fake.requests]
        assert keys == ["one", "two"] * 7
        assert medians.added_ms == medians.through_ms - medians.direct_ms

    def test_an_answer_that_is_none(self) -> None:
        with WorkspaceThread(AnthropicFake()) as fake:
            way = Asking.of(fake.url, "/elsewhere", {}, {})
            with pytest.raises(DemoError, match="/elsewhere answered 404"):
                way.seconds()
            way.connection.close()

    def test_nobody_answers(self) -> None:
        script = Script(turns=[Turn(fault=Fault(kind="reset"))])
        with WorkspaceThread(AnthropicFake(script)) as fake:
            body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            way = Asking.of(fake.url, "/v1/messages", {"x-api-key": "x"}, body)
            with pytest.raises(DemoError, match="Reset"):
                way.seconds()
            way.connection.close()


def endless(folder: Path) -> tuple[str, dict[str, str]]:
    program = folder / "endless"
    program.write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    program.chmod(0o755)
    return str(program), {}
