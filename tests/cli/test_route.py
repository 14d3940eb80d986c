"""``ccr route explain``, with a running service and without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.cli.route import lines_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon.installation import Installation

BODY: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hello"}],
}


TWO_MODELS = [
    {
        "name": "databricks",
        "api_base_url": "https://adb-1.azuredatabricks.net/serving-endpoints/m/invocations",
        "api_key": "canary-provider-key",
        "models": ["m", "n"],
    }
]


def write(folder: Path, **changes: Any) -> str:
    path = folder / "request.json"
    path.write_text(json.dumps({**BODY, **changes}))
    return str(path)


def test_without_a_service_and_with_one(installation: Installation, tmp_path: Path) -> None:
    installation.configure(Router={"default": "databricks,m", "think": "databricks,m"})
    file = write(tmp_path, output_config={"effort": "max"})
    alone = installation.run("route", "explain", file)
    assert alone.returncode == 0, alone.stderr
    assert "claude-sonnet-5 -> databricks,m by the rule think" in alone.stdout
    assert "  think        asked for by effort max" in alone.stdout
    assert "  Authorization: ***" in alone.stdout
    assert "canary" not in alone.stdout
    assert installation.run("start").returncode == 0
    served = installation.run("route", "explain", file, "--json")
    values = json.loads(served.stdout)
    assert values["request"]["body"]["messages"] == BODY["messages"]
    assert lines_of(values) == alone.stdout.splitlines()
    chat = json.loads(installation.run("route", "explain", file, "--chat", "--json").stdout)
    assert chat["request"]["body"]["model"] == "m"
    refused = installation.run("route", "explain", write(tmp_path, model="gpt-4o"))
    assert refused.returncode == 1
    assert "would be refused: model: `gpt-4o` is not configured" in refused.stderr


PYTHON = """
def route(request, config):
    if request["body"]["messages"][0]["content"] == "hello" and request["sessionId"] == "s-7":
        return config["Providers"][0]["name"] + ",n"
"""
JAVASCRIPT = """
module.exports = async (req, config, { event }) =>
  req.body.messages[0].content === "hello" && req.sessionId === "s-7" && event
    ? `${config.Providers[0].name},n`
    : null;
"""


@pytest.mark.parametrize(("name", "source"), [("router.py", PYTHON), ("router.js", JAVASCRIPT)])
def test_a_custom_router_in_either_language(
    installation: Installation, tmp_path: Path, name: str, source: str
) -> None:
    file = installation.paths.home / name
    file.write_text(source)
    file.chmod(0o600)
    installation.configure(Providers=TWO_MODELS, CUSTOM_ROUTER_PATH=name)
    request = write(tmp_path)
    alone = installation.run("route", "explain", request, "--session", "s-7")
    assert "claude-sonnet-5 -> databricks,n by the rule custom" in alone.stdout, alone
    assert installation.run("start").returncode == 0
    assert installation.run("route", "explain", request, "--session", "s-7").stdout == alone.stdout
    assert "-> databricks,m by the rule default" in installation.run("route", "explain", request).stdout


def test_the_router_of_a_project(installation: Installation, tmp_path: Path) -> None:
    installation.configure(Providers=TWO_MODELS)
    client = tmp_path / "client"
    (client / "projects" / "-work").mkdir(parents=True)
    (client / "projects" / "-work" / "s-1.jsonl").touch()
    (installation.paths.home / "-work").mkdir()
    (installation.paths.home / "-work" / "config.json").write_text('{"Router": {"default": "databricks,n"}}')
    file = write(tmp_path)
    explained = installation.run("route", "explain", file, "--session", "s-1", CLAUDE_CONFIG_DIR=str(client))
    assert "-> databricks,n by the rule default (Router of the project)" in explained.stdout, explained
    assert "-> databricks,m by" in installation.run("route", "explain", file).stdout


def test_what_is_refused_without_a_service(installation: Installation, tmp_path: Path) -> None:
    refused = installation.run("route", "explain", write(tmp_path, messages=[]))
    assert refused.returncode == 1
    assert "messages: at least one message is required" in refused.stderr


def test_a_problem_and_alternatives_are_shown() -> None:
    values = {
        "model": "m",
        "route": "p,m",
        "rule": "default",
        "router": "session",
        "tried": [],
        "alternatives": ["p,n"],
        "image_agent": "p,seer",
        "changed": ["sampling_dropped"],
        "request": None,
        "problem": "too large",
    }
    assert lines_of(values) == [
        "m -> p,m by the rule default (Router of the session)",
        "when it fails: p,n",
        "images: taken out; p,seer looks at them",
        "changed: sampling_dropped",
        "problem: too large",
    ]
