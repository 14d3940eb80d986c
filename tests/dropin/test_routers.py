"""Custom routers in both languages, and the Routers of projects and sessions, in people's folders."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.person import ask, message

if TYPE_CHECKING:
    from tests.dropin.conftest import Live, Serve

DEFAULT, GEMINI, QWEN = "anthropic/claude-sonnet-4.5", "google/gemini-2.5-pro", "qwen/qwen3-coder"
EXTRAS = {"openrouter.ai": {"reasoning", "reasoning_details", "cache_control"}}
SESSION = "0b1e8a52-6d0f-4f0a-9a77-2f8f4c5d9e10"


def model_for(live: Live, text: str, **changes: Any) -> str:
    """Return the model that serves a prompt."""
    live.providers.extras |= EXTRAS
    messages = [{"role": "user", "content": text}]
    ask(live.client, stream=True, **message(messages=messages, **changes))
    return str(live.providers.last().body["model"])


@pytest.mark.parametrize("folder", ["router-js", "router-py"])
@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("explain this code, please", GEMINI),
        ("hello", DEFAULT),
        ("router, break", DEFAULT),
        ("many words " * 3000, QWEN),
    ],
    ids=["named", "null", "raises", "by tokens"],
)
def test_a_custom_router(serve: Serve, folder: str, text: str, model: str) -> None:
    assert model_for(serve(folder), text) == model


@pytest.mark.parametrize("folder", ["router-js", "router-py"])
def test_what_a_custom_router_did_can_be_asked(serve: Serve, folder: str) -> None:
    live = serve(folder)
    request = json.dumps(message(messages=[{"role": "user", "content": "explain this code"}]))
    done = live.person.run("route", "explain", "-", "--json", stdin=request)
    assert done.returncode == 0, done.stderr
    explained = json.loads(done.stdout)
    assert (explained["rule"], explained["route"]) == ("custom", f"openrouter,{GEMINI}")
    assert explained["request"]["body"]["model"] == GEMINI
    assert "sk-or-example" not in done.stdout
    assert not live.providers.got


@pytest.mark.parametrize(
    ("session", "model"),
    [(SESSION, GEMINI), ("7d2f5a10-1111-4222-8333-444455556666", QWEN), ("no-session-of-a-project", DEFAULT)],
    ids=["of the session", "of the project", "of the configuration"],
)
@pytest.mark.parametrize("form", ["json", "old"])
def test_the_router_of_a_project_and_a_session(serve: Serve, session: str, model: str, form: str) -> None:
    live = serve("projects")
    transcripts = live.person.home / ".claude/projects/-home-user-code-shop"
    transcripts.mkdir(parents=True, exist_ok=True)
    for known in (SESSION, "7d2f5a10-1111-4222-8333-444455556666"):
        (transcripts / f"{known}.jsonl").write_text("{}\n")
    told = (
        json.dumps({"session_id": session})
        if form == "json"
        else f"user_{'a' * 64}_account__session_{session}"
    )
    deadline = time.monotonic() + 10
    while (found := model_for(live, "hello", metadata={"user_id": told})) != model:
        assert time.monotonic() < deadline, found  # files are looked at once a second at most
