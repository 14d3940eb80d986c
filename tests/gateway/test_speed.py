"""The speed of answers: how it is measured, and that it arrives where the configuration says."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Secret
from ccr.config.speed import SpeedFiles, TokenSpeed
from ccr.config.webhook import Webhook
from ccr.gateway.record import Record
from ccr.gateway.replies import Client
from ccr.gateway.speed import speed_of
from ccr.protocol.usage import Usage
from ccr.sandbox import Script, Turn, Workspace
from tests.gateway.native_service import native_config, post
from tests.server.raw_client import ask, request
from tests.server.service import Service, config_for, running
from tests.server.test_reload import until
from tests.upstream.raw import Exchange, completion, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ccr.config.model import Config

TOKEN = "sandbox-token-not-a-secret"


def record_of(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "client": Client("req_1", "s-1", None),
        "route": "messages",
        "started_at": 10.0,
        "body_bytes": 5,
        "provider": "p",
        "upstream_model": "m",
        "answered_at": 10.5,
        "is_stream": True,
        "usage": Usage(input_tokens=3, output_tokens=100),
    }
    return Record(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "per_s", "first_s"),
    [
        ({}, 50.0, 0.5),
        ({"is_stream": False}, 40.0, 0.5),
        ({"answered_at": None}, 40.0, None),
        ({"answered_at": 12.5}, 40.0, 2.5),
    ],
)
def test_how_it_is_measured(changes: Any, per_s: float, first_s: float | None) -> None:
    speed = speed_of(record_of(**changes), 12.5, 1_000.0)
    assert speed is not None
    assert (speed.tokens_per_s, speed.first_token_s, speed.duration_s) == (per_s, first_s, 2.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"route": "chat_completions"},
        {"outcome": "error"},
        {"outcome": "cancelled"},
        {"usage": None},
        {"usage": Usage(input_tokens=3, output_tokens=0)},
        {"started_at": 12.5},
    ],
)
def test_what_has_no_speed(changes: Any) -> None:
    assert speed_of(record_of(**changes), 12.5, 1_000.0) is None


def test_the_figures_in_the_npm_router_s_spelling() -> None:
    speed = speed_of(record_of(), 12.5, 1_000.25)
    assert speed is not None
    assert speed.values() == {
        "requestId": "req_1",
        "sessionId": "s-1",
        "model": "p,m",
        "stream": True,
        "tokenCount": 100,
        "tokensPerSecond": 50,
        "timeToFirstToken": "500ms",
        "duration": "2.50s",
        "timestamp": 1_000_250,
    }
    blind = speed_of(record_of(answered_at=None, client=Client("r", "../../x", None)), 12.5, 1_000.0)
    assert blind is not None
    assert (blind.values()["timeToFirstToken"], blind.session_id) == ("N/A", None)
    assert blind.fields()["first_token_ms"] is None


# -- in a whole service --------------------------------------------------------------------------------


async def taken(exchange: Exchange) -> None:
    await exchange.answer("{}")


def webhook_at(url: str, **changes: Any) -> Webhook:
    return Webhook(url=Secret(f"{url}/speed"), backoff_s=0.0, **changes)


def lines(service: Service) -> list[logging.LogRecord]:
    return [entry for entry in service.log if entry.getMessage() == "token speed"]


@pytest.mark.parametrize("make", [config_for, native_config])
@pytest.mark.parametrize("stream", [True, False])
async def test_every_output(make: Callable[..., Config], stream: bool, tmp_path: Path) -> None:
    script = Script(turns=[Turn(text="one two three")])
    async with raw_upstream(taken) as hook, Workspace(script) as workspace:
        speed = TokenSpeed(
            console="warn",
            files=SpeedFiles(folder=tmp_path / "token-speed"),
            webhook=webhook_at(hook.url),
            metadata={"team": "a"},
        )
        async with running(make(workspace.url, token=TOKEN, speed=speed)) as service:
            answered = await post(service, headers={"x-claude-code-session-id": "s-7"}, stream=stream)
            assert answered.status == 200, answered.body
            await hook.until(1)
        (line,) = lines(service)
        assert line.levelno == logging.WARNING
        fields = line.__dict__["fields"]
        (written,) = (tmp_path / "token-speed").iterdir()
        assert written.name == "session-s-7.json"
        figures = json.loads(written.read_text())
        said = json.loads(hook.got[0].body)
        assert said["data"] == figures
        assert said["metadata"] == {"sessionId": "s-7", "team": "a"}
        assert (said["prefix"], said["timestamp"][-6:]) == ("[Token Speed Final]", "+00:00")
        record = service.records[0]
        assert figures["tokenCount"] == fields["tokens"] == record["output_tokens"]
        assert figures["requestId"] == record["request_id"]
        assert (figures["stream"], figures["sessionId"]) == (stream, "s-7")
        assert figures["tokensPerSecond"] > 0


async def test_an_answer_without_a_session_has_no_file_and_no_time_if_none_is_wanted(tmp_path: Path) -> None:
    async with raw_upstream(taken) as hook, Workspace() as workspace:
        files = SpeedFiles(folder=tmp_path / "token-speed")
        speed = TokenSpeed(files=files, webhook=webhook_at(hook.url), has_time=False)
        async with running(config_for(workspace.url, token=TOKEN, speed=speed)) as service:
            assert (await post(service)).status == 200
            await hook.until(1)
        assert "timestamp" not in json.loads(hook.got[0].body)
        assert not (tmp_path / "token-speed").exists()
        assert lines(service) == []


async def test_no_request_waits_for_what_hangs_or_fails(tmp_path: Path) -> None:
    """The address takes the first figures and never answers; the folder is a file."""

    async def hang(exchange: Exchange) -> None:
        await exchange.until_closed()

    (tmp_path / "file").write_text("")
    async with raw_upstream(hang) as hook, Workspace() as workspace:
        speed = TokenSpeed(files=SpeedFiles(folder=tmp_path / "file"), webhook=webhook_at(hook.url))
        async with running(config_for(workspace.url, token=TOKEN, speed=speed)) as service:
            async with asyncio.timeout(10):
                for _ in range(5):
                    answered = await post(service, headers={"x-claude-code-session-id": "s"})
                    assert answered.status == 200
                await hook.until(1)
                await until(lambda: any("temp-file" in entry.getMessage() for entry in service.log))
        assert len(hook.got) == 1


async def test_errors_and_other_requests_are_not_told() -> None:
    async def refused(exchange: Exchange) -> None:
        await exchange.answer('{"error_code":"X","message":"no"}', 400)

    async with (
        raw_upstream(refused) as raw,
        running(config_for(raw.url, speed=TokenSpeed(console="log"))) as service,
    ):
        assert (await post(service)).status == 400
        chat = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
        await ask(service.port, request(service.port, "/v1/chat/completions", chat))
        await service.idle()
        assert lines(service) == []


async def test_another_configuration_tells_elsewhere() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(completion())

    async with raw_upstream(answer) as raw:
        config = config_for(raw.url)
        async with running(config) as service:
            upstream = service.app.live.current.shared
            for number, speed in enumerate((None, TokenSpeed(console="log"), None)):
                if number:
                    assert service.app.live.adopt(dataclasses.replace(config, speed=speed))
                assert (await post(service)).status == 200
                await service.idle()
            assert len(lines(service)) == 1
            assert service.app.live.current.shared is upstream, "the connections stay"
