"""The whole line over real sockets, against upstreams that do all they can do wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ccr.gateway.patience import Patience
from tests.server.raw_client import Answered, ask, raw_client, request
from tests.server.service import UPSTREAM_KEY, Service, config_for, message_body, running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    Play,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)


async def post(
    service: Service, *, stream: bool = False, target: str = "/v1/messages", **changes: Any
) -> Answered:
    body = message_body(stream=stream, **changes) if stream else message_body(**changes)
    return await ask(service.port, request(service.port, target, body))


def events(answered: Answered) -> list[dict[str, Any]]:
    """Return the data of all events; each must name its own type."""
    found = []
    for block in answered.body.decode().split("\n\n")[:-1]:
        name, _, data = block.partition("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found


def text_of(found: list[dict[str, Any]]) -> str:
    return "".join(
        event["delta"].get("text", "") for event in found if event["type"] == "content_block_delta"
    )


async def test_a_message() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, target="/v1/v1/messages?beta=true")
        assert answered.status == 200
        message = answered.json
        assert message["model"] == "claude-sonnet-4-5"
        assert message["id"].startswith("msg_")
        assert message["content"] == [{"type": "text", "text": "hello"}]
        assert message["usage"]["input_tokens"] == 12
        assert answered.headers["request-id"].startswith("req_")
        sent = json.loads(raw.got[0].body)
        assert sent["model"] == "databricks-claude-sonnet-4-5"
        assert raw.got[0].head.startswith("POST /serving-endpoints/databricks-claude-sonnet-4-5/invocations ")
        record = service.records[0]
        assert (record["outcome"], record["rule"], record["input_tokens"]) == ("ok", "same_model", 12)
        assert record["sent_bytes"] == len(answered.body)
        assert (await post(service)).json["id"] != message["id"]


async def test_a_stream() -> None:
    async with raw_upstream(good_stream) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        found = events(answered)
        assert [event["type"] for event in found] == [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        assert text_of(found) == "hello"
        record = service.records[0]
        assert (record["outcome"], record["stop_reason"], record["events"]) == ("ok", "end_turn", 4)
        assert record["sent_bytes"] == len(answered.body)
        await post(service, stream=True)
        assert raw.connections == 1


async def test_events_come_as_they_are_made() -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await go_on.wait()
        await exchange.chunk(text_chunk("x") + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        assert (await client.head()).status == 200
        size = int(await client.reader.readline(), 16)
        assert b"message_start" in await client.reader.readexactly(size)
        go_on.set()
        await client.reader.readuntil(b"message_stop")


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected", "error_type", "said", "extra"),
    [
        (
            401,
            '{"error_code":"UNAUTHENTICATED","message":"Credential was not sent"}',
            {},
            403,
            "permission_error",
            "api_key",
            {"x-should-retry": "false"},
        ),
        (
            403,
            '{"error_code":"PERMISSION_DENIED","message":"no"}',
            {},
            403,
            "permission_error",
            "databricks refused",
            {"x-should-retry": "false"},
        ),
        (
            404,
            '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"gone"}',
            {},
            400,
            "invalid_request_error",
            "does not serve",
            {},
        ),
        (
            429,
            '{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}',
            {"retry_after": "7"},
            429,
            "rate_limit_error",
            "slow",
            {"retry-after": "7"},
        ),
        (503, "busy", {"retry_after": "3"}, 503, "overloaded_error", "busy", {"retry-after": "3"}),
        (
            500,
            "<html><title>Bad GW</title></html>",
            {"content_type": "text/html"},
            500,
            "api_error",
            "Bad GW",
            {},
        ),
        (
            200,
            "<html><title>Sign in</title></html>",
            {"content_type": "text/html"},
            502,
            "api_error",
            "web page",
            {"x-should-retry": "false"},
        ),
        (
            303,
            "",
            {"location": "https://login.test/x"},
            502,
            "api_error",
            "login.test",
            {"x-should-retry": "false"},
        ),
        (204, "", {}, 502, "api_error", "with nothing", {}),
        (200, "", {}, 502, "api_error", "with nothing", {}),
        (200, '{"error_code":"BAD_REQUEST","message":"bad"}', {}, 400, "invalid_request_error", "bad", {}),
        (
            200,
            '{"error":{"message":"full","type":"overloaded_error"}}',
            {},
            529,
            "overloaded_error",
            "full",
            {},
        ),
        (200, '{"choices":[]}', {}, 502, "api_error", "finish_reason", {}),
        (200, '{"choices":', {}, 502, "api_error", "JSON", {}),
        (
            400,
            '{"error_code":"BAD_REQUEST","message":"Input is too long for requested model."}',
            {},
            400,
            "invalid_request_error",
            "prompt is too long: ",
            {},
        ),
        (
            400,
            f'{{"message":"key {UPSTREAM_KEY} is odd"}}',
            {},
            400,
            "invalid_request_error",
            "key *** is odd",
            {},
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("S74", outcome="an error with its text")
@pytest.mark.fault("S75", outcome="502 that says it is a page")
@pytest.mark.fault("S76", outcome="502")
async def test_answers_that_are_no_message(
    stream: bool,
    status: int,
    body: str,
    headers: dict[str, str],
    expected: int,
    error_type: str,
    said: str,
    extra: dict[str, str],
) -> None:
    async def play(exchange: Exchange) -> None:
        if status == 204:
            await exchange.head(204, "No Content")
        else:
            await exchange.answer(body, status, **headers)

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert answered.status == expected
        assert answered.json["error"]["type"] == error_type
        assert said in answered.json["error"]["message"]
        assert "databricks" in answered.json["error"]["message"] or expected == 400
        assert answered.json["request_id"] == answered.headers["request-id"]
        assert UPSTREAM_KEY not in answered.body.decode()
        assert {name: answered.headers.get(name) for name in extra} == extra
        assert len(raw.got) == 1
        assert service.records[0]["outcome"] == "error"
        assert service.records[0]["status"] == expected


async def test_nothing_of_the_upstreams_headers_is_passed_on() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion(), set_cookie="a=b", server="upstream/1", x_internal="1")

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert set(answered.headers) == {
            "content-type",
            "content-length",
            "date",
            "server",
            "request-id",
            "x-request-id",
        }


async def cut_by_reset(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel"))
    await asyncio.sleep(0.02)
    exchange.reset()


async def cut_by_fin(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel"))
    exchange.writer.close()


async def cut_cleanly(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel"))
    await exchange.end()


async def bad_json(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel") + 'data: {"choices":\n\n' + text_chunk("lo"))
    await exchange.until_closed()


async def error_event(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(
        text_chunk("hel") + 'data: {"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}\n\n'
    )
    await exchange.until_closed()


@pytest.mark.parametrize(
    ("play", "error_type"),
    [
        (cut_by_reset, "api_error"),
        (cut_by_fin, "api_error"),
        (cut_cleanly, "api_error"),
        (bad_json, "api_error"),
        (error_event, "rate_limit_error"),
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error(play: Play, error_type: str) -> None:
    async with raw_upstream(play, good_stream) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.status == 200
        found = events(answered)
        assert text_of(found) == "hel"
        assert found[-1]["type"] == "error"
        assert found[-1]["error"]["type"] == error_type
        assert found[-1]["error"]["message"].startswith("databricks")
        assert "message_stop" not in [event["type"] for event in found]
        assert service.records[0]["outcome"] == "error"
        assert text_of(events(await post(service, stream=True))) == "hello"
        assert [got.connection for got in raw.got] == [1, 1 if play is cut_cleanly else 2]


async def test_an_answer_that_is_cut_without_stream() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.head(content_type="application/json", content_length="1000")
        await exchange.send('{"choices"')
        exchange.writer.close()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert answered.status == 502
        assert "before its answer was complete" in answered.json["error"]["message"]


@pytest.mark.parametrize("pretty", [False, True])
async def test_a_completion_where_a_stream_was_asked_for(pretty: bool) -> None:
    body = completion()
    if pretty:
        body = json.dumps(json.loads(body), indent=2).replace("\n", "\r\n")

    async def play(exchange: Exchange) -> None:
        await exchange.answer(body)

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        found = events(answered)
        assert text_of(found) == "hello"
        assert found[-1]["type"] == "message_stop"
        assert service.records[0]["input_tokens"] == 12


async def test_a_stream_where_none_was_asked_for() -> None:
    async with raw_upstream(good_stream) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert answered.status == 502
        assert "stream" in answered.json["error"]["message"]


async def test_nothing_listens_upstream() -> None:
    async with raw_upstream() as raw:
        url = raw.url
    async with running(config_for(url)) as service:
        answered = await post(service)
        assert answered.status == 502
        assert "x-should-retry" not in answered.headers
        assert f"databricks: {url.removeprefix('http://')} refused" in answered.json["error"]["message"]


async def test_the_end_may_lag_behind_the_last_event() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH)
        await exchange.until_closed()

    patience = Patience(last_bytes_s=0.02)
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        found = events(await post(service, stream=True))
        assert [event["type"] for event in found][-2:] == ["message_delta", "message_stop"]


async def test_a_cut_after_the_finish_reason_is_no_loss() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH)
        await asyncio.sleep(0.01)
        exchange.reset()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        found = events(await post(service, stream=True))
        assert found[-1]["type"] == "message_stop"


async def test_signs_of_life_while_the_upstream_is_silent() -> None:
    patience = Patience(ping_s=0.01, keep_alive_after_s=0.03, keep_alive_every_s=0.02, idle_s=60)

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await asyncio.sleep(0.2)
        await exchange.chunk(text_chunk("hello") + FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        found = events(await post(service, stream=True))
        types = [event["type"] for event in found]
        assert types.count("ping") >= 2
        assert [event for event in found if event.get("delta") == {"type": "text_delta", "text": ""}]
        assert text_of(found) == "hello"
        assert types[-1] == "message_stop"


async def test_comments_of_the_upstream_are_no_events_for_the_client() -> None:
    patience = Patience(ping_s=0.02, keep_alive_after_s=60, keep_alive_every_s=60, idle_s=60)

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for _ in range(30):
            await exchange.chunk(": still there\n\n")
            await asyncio.sleep(0.005)
        await exchange.chunk(text_chunk("hello") + FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        found = events(await post(service, stream=True))
        assert "ping" in [event["type"] for event in found]
        assert text_of(found) == "hello"


async def test_an_upstream_that_stays_silent_is_given_up() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.until_closed()
        closed.set()

    patience = Patience(ping_s=0.02, idle_s=0.05)
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        found = events(await post(service, stream=True))
        assert found[-1]["type"] == "error"
        assert found[-1]["error"]["type"] == "timeout_error"
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("when", ["before headers", "in the middle"])
async def test_a_client_that_leaves_takes_the_upstream_with_it(stream: bool, when: str) -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        if when == "in the middle":
            if stream:
                await exchange.stream_head()
                await exchange.chunk(text_chunk("hel"))
            else:
                await exchange.head(content_type="application/json", content_length="1000")
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, body=message_body(stream=stream)))
            await raw.until(1)
            if when == "in the middle" and stream:
                await client.reader.readuntil(b"content_block_delta")
        async with asyncio.timeout(5):
            await closed.wait()
        await service.idle()
        record = service.records[0]
        assert (record["outcome"], record["status"]) == ("cancelled", 499)
        assert not [entry for entry in service.log if entry.exc_info]


async def test_a_slow_client_pauses_the_upstream() -> None:
    sent = 0

    async def play(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.stream_head()
        piece = text_chunk("x" * 65536)
        for _ in range(2000):
            await exchange.chunk(piece)
            sent += 65536

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
        assert 0 < sent < 100 * 2**20


async def test_count_tokens_asks_nobody_and_learns() -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "words " * 400}]}

    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion(usage={"prompt_tokens": 1000, "completion_tokens": 1}))

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        first = (await post(service, target="/v1/messages/count_tokens?beta=true", **body)).json
        assert set(first) == {"input_tokens"}
        assert not raw.got
        await post(service, **body)
        second = (await post(service, target="/v1/messages/count_tokens", **body)).json
        assert abs(second["input_tokens"] - 1000) < abs(first["input_tokens"] - 1000)
        unknown = await post(service, target="/v1/messages/count_tokens", model="gpt-4o")
        assert unknown.status == 400


async def test_the_chosen_model_has_its_own_endpoint() -> None:
    async with raw_upstream(good_completion) as raw:
        config = config_for(raw.url, models=("databricks-claude-sonnet-4-5", "databricks-claude-haiku-4-5"))
        async with running(config) as service:
            answered = await post(service, model="databricks,databricks-claude-haiku-4-5")
            assert answered.json["model"] == "databricks,databricks-claude-haiku-4-5"
            assert "/databricks-claude-haiku-4-5/invocations" in raw.got[0].head
            assert json.loads(raw.got[0].body)["model"] == "databricks-claude-haiku-4-5"


async def test_a_fault_of_ours_is_answered_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_upstream(good_completion, good_stream) as raw, running(config_for(raw.url)) as service:
        monkeypatch.setattr("ccr.gateway.chat_line.message_from_chat", lambda *_, **__: 1 / 0)
        answered = await post(service)
        assert answered.status == 500
        assert answered.headers["request-id"] in answered.json["error"]["message"]
        assert "ZeroDivision" not in answered.body.decode()
        monkeypatch.setattr("ccr.protocol.stream.MessageStream.feed", lambda *_: 1 / 0)
        streamed = await post(service, stream=True)
        assert (streamed.status, streamed.json["error"]["type"]) == (500, "api_error")
        assert len([entry for entry in service.log if entry.exc_info]) == 2
        assert [record["status"] for record in service.records] == [500, 500]


async def test_a_fault_of_ours_in_a_stream_is_its_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await begun.wait()
        await exchange.chunk(text_chunk("lo"))

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        async with asyncio.timeout(5):
            await client.reader.readuntil(b"hel")
            monkeypatch.setattr("ccr.protocol.stream.MessageStream.feed", lambda *_: 1 / 0)
            begun.set()
            rest = await client.reader.readuntil(b"0\r\n\r\n")
        assert b"event: error" in rest
        assert b"message_stop" not in rest
        await service.idle()
        assert [record["status"] for record in service.records] == [500]
