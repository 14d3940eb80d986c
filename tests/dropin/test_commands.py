"""The npm router's commands on its users' folders: code, env, statusline, presets; fallback, pass-through."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.person import Person, ask, message, person_with
from tests.dropin.providers import Answer, Got, Providers, Said, Talk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.dropin.conftest import Serve

CLAUDE = """#!{python}
import json, os, sys, urllib.request
request = urllib.request.Request(
    os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true",
    json.dumps({{"model": os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5"), "max_tokens": 100,
                 "messages": [{{"role": "user", "content": "hi"}}]}}).encode(),
    {{"authorization": "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"], "content-type": "application/json"}},
)
answer = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request))
print(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ), "answer": answer}}))
sys.exit(3)
"""
ALL_KEYS = ("reasoning", "cache_control", "reasoning_details")


def claude_in(home: Path) -> str:
    """Put a program there that asks once, as the client would, and tells what it was given."""
    file = home / "bin/claude"
    file.parent.mkdir(exist_ok=True)
    file.write_text(CLAUDE.format(python=sys.executable))
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def providers() -> Iterator[Providers]:
    with Providers(extras={"openrouter.ai": set(ALL_KEYS)}) as fake:
        yield fake
        assert fake.refusals == []


def test_code_with_every_key_of_the_documentation(tmp_path: Path, providers: Providers) -> None:
    person = person_with("everything", tmp_path, providers.url)
    claude_in(tmp_path)
    try:
        done = person.run("code", "-p", "say $HOME `id`", "--no-foo", "--", "last")
        assert done.returncode == 3, done.stderr
        told = json.loads(done.stdout)
        settings, *arguments = told["arguments"][1:]
        assert told["arguments"][0] == "--settings"
        assert json.loads(settings)["statusLine"]["command"].endswith("statusline")
        assert arguments == ["-p", "say $HOME `id`", "--no-foo", "--", "last"]
        assert told["answer"]["content"][0]["text"] == "hello"
        environment = told["environment"]
        expected = {"CI": "true", "TERM": "dumb", "FORCE_COLOR": "0", "API_TIMEOUT_MS": "600000"}
        assert {name: environment[name] for name in expected} == expected
        assert environment["ANTHROPIC_SMALL_FAST_MODEL"] == "local,small"
        assert environment["ANTHROPIC_AUTH_TOKEN"] == "a-key-that-i-made-up-for-my-tools"
        assert "127.0.0.1" in environment["NO_PROXY"]
        assert "ANTHROPIC_API_KEY" not in environment
        assert providers.last().body["model"] == "large"
        routes = json.loads(person.run("status", "--json").stdout)["routes"]
        assert [routes[rule] for rule in ("think", "image")] == ["local,thinker", "local,seer"]
        checked = person.run("config", "check")
        assert checked.returncode == 0
        assert "has no effect" not in checked.stdout + checked.stderr
        for command in ("env", "activate"):
            assert 'export ANTHROPIC_BASE_URL="' in person.run(command, "--shell", "bash").stdout.replace(
                "'", '"'
            )
    finally:
        person.run("stop", "--now")
    assert person.files() == person.before


RULES: list[tuple[str, dict[str, Any]]] = [
    ("large", {}),
    ("small", {"model": "claude-haiku-4-5-20251001"}),
    ("thinker", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
    ("long", {"system": "word " * 20_000}),
    ("searcher", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    (
        "seer",
        {"system": [{"type": "text", "text": "<CCR-SUBAGENT-MODEL>local,seer</CCR-SUBAGENT-MODEL>Draw."}]},
    ),
]


@pytest.mark.parametrize(("model", "changes"), RULES, ids=[model for model, _ in RULES])
def test_every_key_of_the_router(serve: Serve, model: str, changes: dict[str, Any]) -> None:
    live = serve("everything")
    plain = {"messages": [{"role": "user", "content": "hi"}], "thinking": None, **changes}
    ask(live.client, stream=True, **message(**plain))
    got = live.providers.last()
    assert got.body["model"] == model
    assert "CCR-SUBAGENT" not in got.raw.decode()


def test_the_status_line(tmp_path: Path) -> None:
    person = person_with("everything", tmp_path, "http://127.0.0.1:9")
    transcript = tmp_path / "t.jsonl"
    usage = {"input_tokens": 12_300, "output_tokens": 67}
    transcript.write_text(
        json.dumps({"type": "assistant", "message": {"model": "large", "usage": usage}}) + "\n"
    )
    told = {
        "session_id": "s",
        "transcript_path": str(transcript),
        "cwd": "/x/proj",
        "workspace": {"current_dir": "/x/proj"},
    }
    done = person.run("statusline", stdin=json.dumps(told), NO_COLOR="1", TERM="xterm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "󰉋 proj 󰚩 large ↑ 12.3k ↓ 67"
    broken = person.run("statusline", stdin="no json")
    assert (broken.returncode, broken.stdout.strip()) == (0, "")
    assert person.files() == person.before


def test_a_preset_that_is_installed(tmp_path: Path, providers: Providers) -> None:
    person = person_with("presets", tmp_path, providers.url)
    claude = claude_in(tmp_path)
    service = person.folder / "presets/team/service"
    try:
        assert "team" in person.run("preset", "list").stdout
        shown = person.run("preset", "info", "team").stdout
        assert "What the team uses" in shown
        assert "sk-or-of-the-team" not in shown
        done = person.run("team", "-p", "hello", CLAUDE_PATH=claude)
        assert done.returncode == 3, done.stderr
        told = json.loads(done.stdout)
        assert told["arguments"][-2:] == ["-p", "hello"]
        assert told["answer"]["content"][0]["text"] == "hello"
        got = providers.last()
        assert (got.host, got.body["model"]) == ("openrouter.ai", "qwen/qwen3-coder")
        assert got.headers["authorization"] == "Bearer sk-or-of-the-team"
    finally:
        Person(tmp_path, {"CCR_HOME": str(service)}).run("stop", "--now")
    assert person.files() == person.before


def test_the_next_route_of_version_2_s_fallback(serve: Serve) -> None:
    broken = {"api.first.example/v1/chat/completions": lambda _: Said(b'{"error":{"message":"down"}}', 503)}
    live = serve("fallback", providers=Providers(talks=broken))
    answer = ask(live.client, stream=True, **message())
    assert [getattr(block, "text", "") for block in answer.content] == ["hello"]
    last = live.providers.last()
    assert (last.host, last.headers["authorization"]) == ("api.second.example", "Bearer second-key")
    assert "plugins" not in live.said
    deadline = time.monotonic() + 10
    told: list[str] = []
    while not told:
        assert time.monotonic() < deadline, "the plugin's line is not in the log"
        log = (live.person.folder / "logs/ccr.log").read_text()
        told = [line for line in log.splitlines() if '"token speed"' in line]
    assert json.loads(told[0])["route"] == "second,model-b"


def anthropic_answer(got: Got) -> Said:
    """Answer as a Messages API does."""
    text = {"type": "text", "text": "hello"}
    usage = {"input_tokens": 120, "output_tokens": 7}
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": got.body["model"],
        "stop_sequence": None,
    }
    if not got.body.get("stream"):
        return Said(
            json.dumps({**head, "content": [text], "stop_reason": "end_turn", "usage": usage}).encode()
        )
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {**text, "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": usage,
        },
        {"type": "message_stop"},
    ]
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return Said("".join(lines).encode(), content_type="text/event-stream")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("model", "place", "header", "value"),
    [
        ("claude-sonnet-5", "api.anthropic.com/v1/messages", "x-api-key", "sk-ant-api03-example"),
        (
            "claude-haiku-4-5",
            "api.moonshot.cn/anthropic/v1/messages",
            "authorization",
            "Bearer sk-kimi-example",
        ),
    ],
)
def test_anthropic_alone_is_the_pass_through(
    serve: Serve, model: str, place: str, header: str, value: str, *, stream: bool
) -> None:
    talks: dict[str, Talk] = dict.fromkeys(
        ("api.anthropic.com/v1/messages", "api.moonshot.cn/anthropic/v1/messages"), anthropic_answer
    )
    live = serve("anthropic", providers=Providers(talks=talks))
    request = message(model=model)
    answer = ask(live.client, stream=stream, **request)
    got = live.providers.last()
    assert f"{got.host}{got.path.partition('?')[0]}" == place
    assert got.headers[header] == value
    assert len({"authorization", "x-api-key"} & set(got.headers)) == 1
    assert {key: got.body[key] for key in ("messages", "system", "thinking", "tools")} == {
        key: request[key] for key in ("messages", "system", "thinking", "tools")
    }
    assert got.body["model"] in ("claude-sonnet-4-5-20250929", "kimi-k2-0905-preview")
    assert answer.usage.input_tokens == 120


def test_an_answer_in_pieces_is_the_same_answer() -> None:
    """What the fake says whole and as a stream is one thing."""
    deltas = ({"content": "a"}, {"content": "b"})
    whole = json.loads(replace(Answer(), deltas=deltas).to({"model": "m"}).body)
    assert whole["choices"][0]["message"]["content"] == "ab"
