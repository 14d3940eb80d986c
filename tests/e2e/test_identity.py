"""Sessions of the published client while ccr signs in: tokens end, are revoked, and are seen nowhere."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, Turn, Workspace
from tests.e2e.test_sessions import DONE, bash

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.sandbox.view import RequestView
    from tests.e2e.claude import Session
    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e
CLIENT, SECRET = "11111111-aaaa", "canary-client-secret"
SIGNING_IN = {"api_key": "auto", "client_id": CLIENT, "client_secret": SECRET}
TURNS = 20
LIFE_S = 3
LEAST_LIFE_S = 2.0
"""A token of 3 s is renewed when 0.6 s are left of it, whatever the machine is busy with."""


def working(count: int) -> list[Turn]:
    return [Turn(tools=[bash(f"sleep 0.7; echo {number} >> done.txt")]) for number in range(count)]


def tokens_of(service: Service) -> list[str]:
    """The tokens that the model requests were sent with, in order."""
    requests = [each for each in service.workspace.requests if "serving-endpoints" in each.path]
    return [request.headers["authorization"].removeprefix("Bearer ") for request in requests]


def assert_nothing_was_noticed(session: Session, service: Service, turns: int) -> None:
    assert session.exit_code == 0, session.text + session.stderr
    assert session.text == "DONE"
    assert (session.folder / "done.txt").read_text().split() == [str(number) for number in range(turns)]
    assert not [event for event in session.events if "error" in event.get("subtype", "")]
    assert len(service.workspace.conversation) == turns + 1, "a turn was asked for twice"
    records = [json.loads(line) for line in (service.home / "logs/ccr.log").read_text().splitlines()]
    outcomes = {record["outcome"] for record in records if "outcome" in record}
    assert outcomes == {"ok"}


def assert_no_secret_is_seen(session: Session, service: Service) -> None:
    status = service.ccr("status").stdout
    file = service.home / "config.json"
    assert f"identity  databricks: oauth-m2m for {CLIENT} ({file}), token ends: 20" in status
    values = json.loads(service.ccr("status", "--json").stdout)
    seen = {
        "status": status + json.dumps(values),
        "the configuration": service.ccr("config", "show").stdout,
        "the process list": Path(f"/proc/{values['pid']}/cmdline").read_text(),
        "the client": json.dumps(session.events) + session.stderr,
    }
    for file in service.home.rglob("*"):
        if file.is_file() and file.name != "config.json":
            seen[file.name] = file.read_text(errors="replace")  # the database of requests holds texts too
    secrets = {SECRET, *tokens_of(service)}
    assert [where for where, text in seen.items() if any(secret in text for secret in secrets)] == []


@pytest.mark.parametrize("api", ["chat", "anthropic"])
@pytest.mark.fault(
    "E130", outcome="what it does without ccr between, or the one sentence that names the remedy"
)
@pytest.mark.fault("S68", outcome="the stream goes on; the next request renews")
def test_a_session_over_many_tokens(api: str, serve: Callable[..., Service]) -> None:
    script = Script(turns=[*working(TURNS), DONE])
    workspace = Workspace(script, clients={CLIENT: SECRET}, token_lifetime_s=LIFE_S)
    service = serve(workspace, provider={**SIGNING_IN, "api": api})
    session = service.claude("work")
    assert_nothing_was_noticed(session, service, TURNS)
    renewals = [record.at for record in workspace.token_requests]
    assert len(renewals) >= 1 + TURNS * 0.7 // LIFE_S
    assert min(later - earlier for earlier, later in itertools.pairwise(renewals)) >= LEAST_LIFE_S
    used = [token for token, _ in itertools.groupby(tokens_of(service))]
    assert len(used) == len(set(used)), "an older token was used again"
    assert len(renewals) - len(used) in (0, 1, 2), "only the first and the last may be unused"
    assert_no_secret_is_seen(session, service)


def test_a_token_that_is_revoked_in_the_middle(serve: Callable[..., Service]) -> None:
    workspace = Workspace(clients={CLIENT: SECRET})

    def revoke(_view: RequestView) -> bool:
        workspace.revoke_tokens()
        return True

    first, second, third, fourth = working(4)
    third = Turn(tools=third.tools, when=revoke)
    workspace.play(Script(turns=[first, second, third, fourth, DONE]))
    service = serve(workspace, provider=SIGNING_IN)
    session = service.claude("work")
    assert_nothing_was_noticed(session, service, 4)
    statuses: list[Any] = [each.status for each in workspace.requests if "serving-endpoints" in each.path]
    assert statuses.count(403) == 1
    assert len(workspace.token_requests) == 2
    assert_no_secret_is_seen(session, service)
