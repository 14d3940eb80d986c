"""A whole ccr that signs in to the strict workspace: expiries, revocations, outages, no token anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Secret, SignIn
from ccr.errors import ConfigError
from ccr.sandbox import Fault, Script, Turn, Workspace
from ccr.server.app import serve
from ccr.upstream.auth.credentials import credentials_of
from tests.server.raw_client import Answered, ask, request
from tests.server.service import KEY, MODEL, Service, config_for, message_body, running
from tests.upstream.auth.fakes import START_S, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

CLIENT, SECRET = "11111111-aaaa", "canary-client-secret"
LIFE_S = 3600.0
SCRIPT = Script(turns=[Turn(text="hello")], repeat_last=True)
PRINCIPAL = SignIn(client_id=CLIENT, client_secret=Secret(SECRET))
EVERY_ROUTE = ["/v1/messages", "/v1/chat/completions"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """One clock for ccr and the workspace."""
    clock = Clock()
    monkeypatch.setattr("ccr.server.sign_ins.credentials_of", partial(credentials_of, clock=clock))
    return clock


@contextlib.asynccontextmanager
async def workspace_at(clock: Clock, **options: Any) -> AsyncIterator[Workspace]:
    options = {"clients": {CLIENT: SECRET}, "token_lifetime_s": LIFE_S, **options}
    async with Workspace(SCRIPT, clock=lambda: clock.wall_s, **options) as workspace:
        yield workspace


def config_of(workspace: Workspace, sign_in: SignIn | None = PRINCIPAL, **changes: Any) -> Config:
    config = config_for(workspace.url)
    provider = replace(config.providers[0], api_key=None, sign_in=sign_in, **changes)
    return replace(config, providers=(provider,))


async def post(service: Service, target: str = "/v1/messages", *headers: str, **changes: Any) -> Answered:
    return await ask(
        service.port, request(service.port, target, message_body(model=MODEL, **changes), *headers)
    )


def model_calls(workspace: Workspace) -> list[int | None]:
    """The statuses of the requests that were no sign-in."""
    return [record.status for record in workspace.requests if record not in workspace.token_requests]


# --- tokens that end


async def test_fifty_requests_that_meet_an_ended_token_cause_one_renewal(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        assert (await post(service)).status == 200
        clock.pass_s(LIFE_S + 1)
        answers = await asyncio.gather(*(post(service) for _ in range(50)))
        assert {answered.status for answered in answers} == {200}
        assert len(workspace.token_requests) == 2
        assert workspace.refusals == []


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.fault("S66", outcome="one renewal")
async def test_fifty_requests_whose_token_is_refused_cause_one_renewal(clock: Clock, status: Any) -> None:
    async with (
        workspace_at(clock, token_refusal=status) as workspace,
        running(config_of(workspace), environ={}) as service,
    ):
        assert (await post(service)).status == 200
        workspace.revoke_tokens()
        answers = await asyncio.gather(*(post(service) for _ in range(50)))
        assert {answered.status for answered in answers} == {200}
        assert len(workspace.token_requests) == 2
        assert set(model_calls(workspace)) == {200, status}


async def test_a_token_is_renewed_beside_the_requests(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        await post(service)
        clock.pass_s(LIFE_S * 0.9)
        assert (await post(service)).status == 200
        await workspace.until(lambda: len(workspace.token_requests) == 2)
        clock.pass_s(LIFE_S * 0.5)  # the first one has ended by now
        assert (await post(service)).status == 200
        assert len(workspace.token_requests) == 2
        assert workspace.refusals == []


async def test_an_outage_of_the_sign_in_stops_nobody_whose_token_is_good(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        await post(service)
        clock.pass_s(LIFE_S * 0.9)
        workspace.fail_tokens(Fault(kind="status", status=503, times=1000))
        for _ in range(5):
            assert (await post(service)).status == 200
            clock.pass_s(1)
        await workspace.until(lambda: len(workspace.token_requests) > 1)
        told = (await ask(service.port, request(service.port, "/status", method="GET"))).json
        assert "gives no token at the moment (HTTP 503)" in told["identities"]["databricks"]["problem"]
        workspace.fail_tokens(Fault(kind="status", times=0))
        asked = len(workspace.token_requests)
        clock.pass_s(60)
        assert (await post(service)).status == 200
        await workspace.until(lambda: len(workspace.token_requests) == asked + 1)
        clock.pass_s(LIFE_S * 0.2)
        assert (await post(service)).status == 200
        assert workspace.refusals == []


async def test_an_outage_that_outlives_the_token_is_told_as_a_delay(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        workspace.fail_tokens(Fault(kind="status", status=503, times=1000))
        answered = await post(service)
        assert (answered.status, answered.json["error"]["type"]) == (503, "overloaded_error")
        assert "gives no token at the moment" in answered.json["error"]["message"]
        assert "retry-after" in answered.headers
        assert model_calls(workspace) == []


# --- tokens that are refused


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("target", EVERY_ROUTE)
@pytest.mark.fault("S64", outcome="one renewal, one repetition, the client sees 200")
async def test_a_revoked_token_costs_one_repetition(clock: Clock, target: str, stream: bool) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        await post(service)
        workspace.revoke_tokens()
        answered = await post(service, target, stream=stream)
        assert answered.status == 200
        assert b"hello" in answered.body
        assert model_calls(workspace) == [200, 403, 200]
        assert len(workspace.token_requests) == 2
        assert [record["outcome"] for record in service.records] == ["ok", "ok"]


async def test_the_native_route_signs_in_as_well(clock: Clock) -> None:
    async with workspace_at(clock) as workspace:
        config = config_of(workspace, api="anthropic", steps=())
        async with running(config, environ={}) as service:
            await post(service)
            workspace.revoke_tokens()
            assert (await post(service, stream=True)).status == 200
            assert model_calls(workspace) == [200, 403, 200]
            assert {record.path for record in workspace.conversation} == {
                "/serving-endpoints/anthropic/v1/messages"
            }


async def test_a_principal_that_is_gone_is_told_with_the_remedy(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        await post(service)
        workspace.revoke_tokens()
        workspace.identities.clients.clear()
        answered = await post(service)
        assert (answered.status, answered.headers["x-should-retry"]) == (403, "false")
        assert "make a new one for the service principal 11111111-aaaa" in answered.json["error"]["message"]
        assert SECRET not in answered.body.decode()
        assert model_calls(workspace) == [200, 403]


@pytest.mark.parametrize(
    ("sign_in", "environ", "remedy"),
    [
        (None, {}, "Check this provider's api_key (`ccr doctor`)"),
        (SignIn(), {"DATABRICKS_TOKEN": "canary-wrong"}, "Check this provider's identity (`ccr doctor`)"),
    ],
)
@pytest.mark.fault(
    "S65", outcome="403 with the remedy after exactly one renewal (a 401 would end the login of Claude Code)"
)
async def test_a_wrong_token_is_sent_once_and_told_with_the_remedy(
    clock: Clock, sign_in: SignIn | None, environ: Mapping[str, str], remedy: str
) -> None:
    async with workspace_at(clock) as workspace:
        config = config_of(workspace, sign_in)
        if sign_in is None:
            config = config_for(workspace.url, token="canary-wrong")
        async with running(config, environ=environ) as service:
            answered = await post(service)
            assert answered.status == 403
            assert remedy in answered.json["error"]["message"]
            assert len(workspace.requests) == 1
            assert "canary" not in answered.body.decode()


async def test_a_profile_that_was_given_a_new_token_is_read_again(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / ".databrickscfg"
    async with workspace_at(clock) as workspace:
        profile = f"[work]\nhost = {workspace.url}\ntoken = "
        file.write_text(profile + "of-yesterday")
        config = config_of(workspace, SignIn(profile="work"))
        async with running(config, environ={"HOME": str(tmp_path)}) as service:
            file.write_text(profile + workspace.token)
            assert (await post(service)).status == 200
            assert model_calls(workspace) == [403, 200]


# --- the user of each request

USER = "x-forwarded-access-token: canary-of-ann"


async def test_each_request_is_its_user_s(clock: Clock) -> None:
    users = {"canary-of-ann": "ann@sandbox.invalid", "canary-of-bob": "bob@sandbox.invalid"}
    async with workspace_at(clock, user_tokens=users) as workspace:
        config = config_of(workspace, SignIn(on_behalf_of_user=True))
        async with running(config, environ={}) as service:
            for target in EVERY_ROUTE:
                assert (await post(service, target, USER)).status == 200
            assert (await post(service, "/v1/messages", USER.replace("ann", "bob"))).status == 200
            callers = [record.caller for record in workspace.requests]
            assert callers == ["ann@sandbox.invalid", "ann@sandbox.invalid", "bob@sandbox.invalid"]
            nobody = await post(service)
            assert nobody.status == 403
            assert "Reach ccr through its Databricks App" in nobody.json["error"]["message"]
            stranger = await post(service, "/v1/messages", USER.replace("ann", "eve"))
            assert stranger.status == 403
            assert "canary" not in str([nobody.body, stranger.body, [vars(entry) for entry in service.log]])


async def test_a_user_s_token_goes_nowhere_unasked(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        assert (await post(service, "/v1/messages", USER)).status == 200
        assert workspace.conversation[0].caller == CLIENT
        assert "canary-of-ann" not in str([vars(record) for record in workspace.requests])


# --- what is told


async def test_no_token_and_no_secret_is_told(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        answers = [await post(service)]
        workspace.revoke_tokens()
        answers.append(await post(service))
        workspace.identities.clients.clear()
        workspace.revoke_tokens()
        clock.pass_s(60)
        answers.append(await post(service))
        answers.append(await ask(service.port, request(service.port, "/status", method="GET")))
        tokens = {record.headers["authorization"] for record in workspace.requests}
        secrets = {SECRET, *(header.partition(" ")[2] for header in tokens)}
        assert len(secrets) == 4, "two tokens, the secret, and id and secret in one"
        told = str([[answered.headers, answered.body] for answered in answers])
        told += str([vars(entry) for entry in service.log])
        assert [secret for secret in secrets if secret in told] == []


async def test_a_token_that_the_upstream_repeats_is_masked(clock: Clock) -> None:
    async with workspace_at(clock) as workspace:
        fault = Fault(kind="status", status=400, body={"message": "no model for canary-echoed"})
        workspace.play(Script(turns=[Turn(text="x", fault=fault)]))
        workspace.token = "canary-echoed"
        environ = {"DATABRICKS_TOKEN": "canary-echoed"}
        async with running(config_of(workspace, SignIn()), environ=environ) as service:
            answered = await post(service)
            assert "no model for ***" in answered.json["error"]["message"]
            assert "canary" not in answered.body.decode()


async def test_status_tells_the_identity_and_when_its_token_ends(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, running(config_of(workspace), environ={}) as service:
        status = request(service.port, "/status", method="GET")
        identity = {
            "method": "oauth-m2m",
            "host": workspace.url,
            "client_id": CLIENT,
            "source": "config.json",
        }
        told = (await ask(service.port, status)).json["identities"]
        assert told == {"databricks": {**identity, "expires_at": "no token yet"}}
        await post(service)
        told = (await ask(service.port, status)).json["identities"]
        assert told == {"databricks": {**identity, "expires_at": "2027-01-15T09:00:00Z"}}
        assert int(START_S + LIFE_S) == 1_800_003_600


# --- the start


class Entries(logging.Handler):
    """Keeps the warnings of a log, and tells when there is one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[Any] = []
        self.has_one = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(vars(record)["fields"])
        self.has_one.set()


@contextlib.asynccontextmanager
async def serving(config: Config, environ: Mapping[str, str], entries: Entries) -> AsyncIterator[None]:
    """Serve as the process does, until the end of the block; raises what ``serve`` raises."""
    ready = asyncio.Event()
    log = logging.Logger("ccr.test.start")  # noqa: LOG001 - not shared between tests
    log.addHandler(entries)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ending = serve(
            config,
            key=Secret(KEY),
            instance="i",
            sockets=[sock],
            log=log,
            on_ready=ready.set,
            environ=environ,
        )
        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            group.create_task(ending)
            await ready.wait()
            yield
            os.kill(os.getpid(), signal.SIGTERM)


async def test_the_service_signs_in_before_anybody_asks(clock: Clock) -> None:
    async with workspace_at(clock) as workspace, serving(config_of(workspace), {}, Entries()):
        await workspace.until(lambda: len(workspace.token_requests) == 1)


async def test_a_login_that_is_missing_is_a_warning(clock: Clock, tmp_path: Path) -> None:
    program = tmp_path / "databricks"
    program.write_text("#!/bin/sh\necho 'Error: no login for this host' >&2\nexit 1\n")
    program.chmod(0o700)
    environ = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    entries = Entries()
    async with workspace_at(clock) as workspace:
        config = config_of(workspace, SignIn(auth_type="databricks-cli"))
        async with serving(config, environ, entries):
            await entries.has_one.wait()
        assert "databricks auth login --host" in entries.warnings[0]["error"]


async def test_nothing_found_stops_the_start(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ccr.upstream.identities.has_sdk", lambda: False)
    environ = {"HOME": str(tmp_path), "PATH": ""}
    async with workspace_at(clock) as workspace:
        with pytest.raises(ExceptionGroup) as caught:
            async with serving(config_of(workspace, SignIn()), environ, Entries()):
                raise AssertionError("it serves")
        (error,) = caught.value.exceptions
        assert isinstance(error, ConfigError)
        assert "no Databricks identity: no api_key, profile or client_id" in str(error)
        assert workspace.requests == []
