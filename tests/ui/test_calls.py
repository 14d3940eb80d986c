"""The other calls: overview, service, test of a connection, figures, explanation."""

from __future__ import annotations

import datetime as dt
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

import ccr
from ccr.daemon.control import known_key
from ccr.daemon.identity import find_service
from ccr.errors import RequestError
from ccr.sandbox import Workspace, WorkspaceThread
from ccr.sandbox.example_config import example_config
from ccr.ui import commands, trial
from ccr.ui.commands import run_ccr
from ccr.ui.figures import usage
from ccr.ui.trial import sentence_of
from tests.store.database import PLAIN, failed, make_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.daemon.installation import Installation
    from tests.ui.conftest import Asked

MODELS = ["databricks-claude-sonnet-4-5", "databricks-claude-haiku-4-5"]


@pytest.fixture
def workspace(installation: Installation) -> Iterator[WorkspaceThread]:
    """A workspace, and a configuration that leads to it and to a model that it has not."""
    with WorkspaceThread(Workspace()) as running:
        values = example_config(running.url, running.token, [*MODELS, "no-such-model"], PORT=0)
        installation.configure(**values)
        yield running


async def test_the_service_is_started_shown_restarted_and_stopped(
    pages: Asked, workspace: WorkspaceThread
) -> None:
    stopped = (await pages.get("/api/overview")).values
    assert (stopped["running"], stopped["condition"]) == (False, "stopped")
    refused = await pages.post("/api/test", {"route": f"databricks,{MODELS[0]}"})
    assert refused.status == 409
    assert "ccr is not running: start it" in refused.values["error"]
    started = (await pages.post("/api/service", {"action": "start"})).values
    assert started["ok"]
    assert "ccr is running at http://127.0.0.1:" in started["said"][0]
    answer = await pages.get("/api/overview")
    values = answer.values
    status = pages.installation.status()
    for name in (
        "running",
        "address",
        "pid",
        "version",
        "providers",
        "routes",
        "config_file",
        "config_error",
    ):
        assert values[name] == status[name], name
    assert values["ui_version"] == ccr.__version__
    assert values["counts"]["requests"] == {}
    assert workspace.token.encode() not in answer.body
    first = values["pid"]
    assert (await pages.post("/api/service", {"action": "restart"})).values["ok"]
    second = (await pages.get("/api/overview")).values["pid"]
    assert second != first
    assert (await pages.post("/api/service", {"action": "stop"})).values["said"] == [
        f"ccr has stopped (process {second})",
        f"stopping process {second} …",
    ]


@pytest.mark.parametrize("action", ["", "code", "uninstall", ["start"], None, "start; id"])
async def test_nothing_else_is_run(pages: Asked, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "run_ccr", None)
    assert (await pages.post("/api/service", {"action": action})).status == 400


async def test_connections(pages: Asked, workspace: WorkspaceThread) -> None:
    assert pages.installation.run("start").returncode == 0
    good = (await pages.post("/api/test", {"route": f"databricks,{MODELS[0]}"})).values
    assert (good["ok"], good["status"], good["error"]) == (True, 200, None)
    assert workspace.requests[-1].body["max_tokens"] == 1
    bad = (await pages.post("/api/test", {"route": "databricks,no-such-model"})).values
    assert not bad["ok"]
    assert bad["status"] == 400
    assert "no-such-model" in bad["error"]
    for route in ("", "x", 1, None):
        assert (await pages.post("/api/test", {"route": route})).status == 400


async def test_a_service_that_goes_away_in_between(pages: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pages.installation.run("start").returncode == 0
    found = find_service
    monkeypatch.setattr(
        trial, "find_service", lambda *given: _stopped_after(found(*given), pages.installation)
    )
    values = (await pages.post("/api/test", {"route": "databricks,m"})).values
    assert not values["ok"]
    assert "the service did not answer" in values["error"]


def _stopped_after(found: Any, installation: Installation) -> Any:
    installation.run("stop", "--now")
    return found


async def test_a_service_that_is_silent(pages: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pages.installation.run("start").returncode == 0
    monkeypatch.setattr(trial, "DEADLINE_S", 0.01)
    answering = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # listens, and nobody answers
    found = find_service(pages.installation.paths, known_key(pages.installation.paths, {}))
    elsewhere = type(found)("running", _at(found.state, answering.server_port))
    monkeypatch.setattr(trial, "find_service", lambda *_: elsewhere)
    values = (await pages.post("/api/test", {"route": "databricks,m"})).values
    answering.server_close()
    assert "no answer within" in values["error"]


def _at(state: Any, port: int) -> Any:
    return type(state)(
        **{
            **{name: getattr(state, name) for name in state.__dataclass_fields__},
            "address": f"http://127.0.0.1:{port}",
        }
    )


def test_a_sentence_out_of_an_answer() -> None:
    assert sentence_of(b'{"error": {"message": "no"}}') == "no"
    for odd in (b"", b"{", b"[]", b'{"error": "x"}', b"null", b"[" * 100_000):
        assert sentence_of(odd) == "an answer that cannot be read"


async def test_explanations(pages: Asked) -> None:
    body = json.dumps(
        {"model": "claude-x", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    )
    values = (await pages.post("/api/explain", {"body": body})).values
    assert values["route"] == "databricks,m"
    assert values["request"]["headers"]["Authorization"] == "***"
    chat = {
        "body": '{"model": "m", "messages": [{"role": "user", "content": "x"}]}',
        "chat": True,
        "session": "s",
    }
    assert (await pages.post("/api/explain", chat)).values["rule"] == "model"
    refused = await pages.post("/api/explain", {"body": "{"})
    assert refused.status == 400
    assert refused.values["error"].startswith("the request would be refused: ")
    for odd in ({}, {"body": 1}, {"body": "{}", "session": 1}):
        assert (await pages.post("/api/explain", odd)).status == 400


async def test_figures_and_requests(pages: Asked) -> None:
    nothing = (await pages.get("/api/usage")).values
    assert nothing["exists"] is False
    assert "Nothing was recorded yet" in nothing["sentence"]
    assert (await pages.get("/api/requests")).values["exists"] is False
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    rows = [PLAIN._replace(at_ms=now - 60, request_id=f"req_{number}") for number in range(60)]
    make_database(pages.installation.paths.usage_file, [*rows, failed(at_ms=now, request_id="req_bad")])
    values = (await pages.get("/api/usage?days=7&by=provider")).values
    assert values["total"]["requests"] == 61
    assert [(line["key"], line["errors"]) for line in values["groups"]] == [("databricks", 1)]
    assert values["days"][-1]["input_tokens"] == 6000
    page = (await pages.get("/api/requests")).values
    assert (len(page["requests"]), page["has_more"]) == (50, True)
    rest = (await pages.get(f"/api/requests?before={page['requests'][-1]['id']}")).values
    assert (len(rest["requests"]), rest["has_more"]) == (11, False)
    only = (await pages.get("/api/requests?errors=1&text=many&model=sonnet&provider=databricks")).values
    assert [row["request_id"] for row in only["requests"]] == ["req_bad"]
    for odd in (
        "usage?days=x",
        "usage?days=-1",
        "usage?days=9999999",
        "usage?by=day",
        "usage?by=x;",
        "requests?before=x",
    ):
        assert (await pages.get(f"/api/{odd}")).status == 400
    pages.installation.paths.usage_file.write_text("no database, but long enough to be taken for one" * 100)
    broken = await pages.get("/api/requests")
    assert broken.status == 422
    assert "usage.sqlite" in broken.values["error"]


def test_a_period_begins_at_midnight(installation: Installation) -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    now = dt.datetime(2026, 3, 10, 15, tzinfo=zone)
    make_database(installation.paths.usage_file, [PLAIN])
    values = usage(installation.paths, installation.environ(), {"days": "7"}, now)
    assert (values["first"], values["today"]) == ("2026-03-04", "2026-03-10")
    assert usage(installation.paths, {}, {}, now)["first"] is None


async def test_a_command_that_takes_too_long_is_ended(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "DEADLINE_S", 0.2)
    with pytest.raises(RequestError) as late:
        await run_ccr(installation.environ(), "logs", "-f")
    assert late.value.status == 504


async def test_a_command_that_says_nothing(pages: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def said(*_: Any, **__: Any) -> commands.Done:
        return commands.Done(0, "", "ccr: a sentence\n")

    monkeypatch.setattr(commands, "run_ccr", said)
    answer = await pages.post("/api/check", {})
    assert (answer.status, answer.values["error"]) == (500, "a sentence")
