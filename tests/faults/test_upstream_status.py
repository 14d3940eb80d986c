"""Table S: what an upstream can answer instead of a model's answer, and what the client then sees."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.model import Network, Provider, Router, Secret
from ccr.errors import ConfigError, UpstreamError
from ccr.upstream.breaker import MAX_FAILURES, OPEN_S
from ccr.upstream.trying import Pace
from tests.faults.network import config_at
from tests.faults.test_client_connection import signing_in
from tests.gateway.native_service import native_config
from tests.gateway.test_messages import events, post, text_of
from tests.server.raw_client import raw_client, request
from tests.server.service import MODEL, UPSTREAM_KEY, config_for, message_body, running
from tests.upstream.raw import Exchange, Play, good_completion, good_stream, raw_upstream, text_chunk

if TYPE_CHECKING:
    from ccr.config.model import Config
    from tests.server.raw_client import Answered
    from tests.server.service import Service

ROUTES = ("/v1/messages", "/v1/chat/completions")


def status(code: int, body: str = '{"message": "no"}', **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, code, **headers)

    return play


def with_pace(service: Service, pace: Pace) -> None:
    service.app.upstream._pace = pace


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def kind_of(answered: Answered) -> str:
    return str(answered.json["error"]["type"])


def message_of(answered: Answered) -> str:
    return str(answered.json["error"]["message"])


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("S70", outcome="told as it is, no renewal, once")
async def test_a_missing_permission(stream: bool) -> None:
    body = '{"error_code": "PERMISSION_DENIED", "message": "User may not query this endpoint"}'
    async with raw_upstream(status(403, body)) as raw, running(config_at(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert (answered.status, kind_of(answered)) == (403, "permission_error")
        assert "User may not query this endpoint" in message_of(answered)
        assert answered.headers["x-should-retry"] == "false"
        assert len(raw.got) == 1


@pytest.mark.parametrize(
    ("given", "passed_on", "sent"),
    [
        ("2", "2", 3),
        ("0", "0", 3),
        ("4.2", "5", 3),
        ("-1", None, 1),
        ("1e9", "86400", 1),
        ("9999999", "86400", 1),
        ("soon", None, 1),
        ("Wed, 18 Nov 2020 11:00:00 GMT", "0", 3),
        (None, None, 1),
    ],
)
@pytest.mark.fault("S71", outcome="read in every form, passed on when sensible; at most 5 s are waited here")
async def test_a_limit(given: str | None, passed_on: str | None, sent: int) -> None:
    headers = {} if given is None else {"retry_after": given}
    async with raw_upstream(status(429, **headers)) as raw, running(config_at(raw.url)) as service:
        with_pace(service, Pace(sleep=no_pause))
        answered = await post(service)
        assert (answered.status, kind_of(answered)) == (429, "rate_limit_error")
        assert answered.headers.get("retry-after") == passed_on
        assert "x-should-retry" not in answered.headers
        assert len(raw.got) == sent


LONG = f"a {UPSTREAM_KEY}" * 200
"""A message that is cut in the middle of a key."""
PAGE = (
    "<html><head><title>Bad gateway</title></head><body>"
    + f"Authorization: Bearer {UPSTREAM_KEY}" * 200
    + "</body></html>"
)


@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.parametrize("code", [500, 502, 503, 504, 529])
@pytest.mark.parametrize("body", [json.dumps({"message": LONG}), PAGE, "x" * 100_000, "\xff"])
@pytest.mark.fault("S72", outcome="two more tries, then the same class of error, cut and without secrets")
async def test_trouble(code: int, body: str, target: str) -> None:
    async with raw_upstream(status(code, body)) as raw, running(config_at(raw.url)) as service:
        with_pace(service, Pace(sleep=no_pause))
        answered = await post(service, target=target)
        assert answered.status == code
        assert UPSTREAM_KEY[:8] not in answered.body.decode(), "nor half of it, where the message is cut"
        assert len(message_of(answered).encode()) < 2200
        assert "databricks" in message_of(answered)
        assert "x-should-retry" not in answered.headers
        assert len(raw.got) == 3


@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [{"error": {"type": "api_error", "message": LONG}}, {"message": LONG}, LONG])
@pytest.mark.fault("S72", outcome="two more tries, then the same class of error, cut and without secrets")
async def test_an_error_in_place_of_an_answer(
    body: object, stream: bool, is_native: bool, target: str
) -> None:
    said = body if isinstance(body, str) else json.dumps(body)

    async def play(exchange: Exchange) -> None:
        if not stream:
            await exchange.answer(said)
            return
        await exchange.stream_head()
        await exchange.chunk(f"event: error\ndata: {said[:1000]}")
        await asyncio.sleep(0.01)
        await exchange.chunk(f"{said[1000:]}\n\n")
        await exchange.end()

    async with raw_upstream(play) as raw:
        config = native_config(raw.url) if is_native else config_for(raw.url)
        async with running(config) as service:
            answered = await post(service, target=target, stream=stream)
            assert b"rror" in answered.body
            assert UPSTREAM_KEY[:10] not in answered.body.decode(), "nor half of it, where the message is cut"
            await service.idle()
            assert UPSTREAM_KEY[:10] not in str(service.records)


@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.fault("S77", outcome="502 that names the host, final; the other host sees nothing")
async def test_a_redirect(code: int, stream: bool, target: str) -> None:
    async with (
        raw_upstream(good_completion) as other,
        raw_upstream(status(code, "", location=f"{other.url}/steal")) as raw,
        running(config_at(raw.url)) as service,
    ):
        answered = await post(service, stream=stream, target=target)
        assert (answered.status, answered.headers["x-should-retry"]) == (502, "false")
        assert "to 127.0.0.1" in message_of(answered)
        assert (len(raw.got), other.connections) == (1, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("S78", outcome="passed over")
async def test_interim_answers(stream: bool) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send("HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        await (good_stream if stream else good_completion)(exchange)

    async with raw_upstream(play) as raw, running(config_at(raw.url)) as service:
        for _ in range(2):
            answered = await post(service, stream=stream)
            assert answered.status == 200
            assert b"hel" in answered.body
        assert raw.connections == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("play", "said"),
    [
        (status(200, "<html><title>Sign in</title></html>", content_type="text/html"), "web page (Sign in)"),
        (status(200, ""), "with nothing"),
        (status(200, "   "), "with nothing"),
        (status(200, "", content_type="text/event-stream"), None),
    ],
)
@pytest.mark.fault("S75", outcome="502 that says it is a page, final")
@pytest.mark.fault("S76", outcome="502")
@pytest.mark.parametrize("target", ROUTES)
async def test_no_answer(play: Play, said: str | None, stream: bool, target: str) -> None:
    async with raw_upstream(play) as raw, running(config_at(raw.url)) as service:
        answered = await post(service, stream=stream, target=target)
        assert answered.status == 502
        assert (said or "") in message_of(answered)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


@pytest.mark.parametrize(
    ("play", "code", "final", "said"),
    [
        (status(500, "{}"), 503, None, "gives no token at the moment"),
        (reset, 502, None, "closed the connection without an answer"),
        (status(200, "nonsense"), 502, "false", "answered with no token"),
        (status(200, "<html>Sign in", content_type="text/html"), 502, "false", "answered with no token"),
        (status(200, '{"access_token": 5, "expires_in": "x"}'), 502, "false", "answered with no token"),
        (status(401, '{"error": "invalid_client"}'), 403, "false", "does not know this client id"),
    ],
)
@pytest.mark.fault("S67", outcome="503 or 502, and for garbage a final 502: what is wrong, and where")
async def test_a_token_endpoint_in_trouble(play: Play, code: int, final: str | None, said: str) -> None:
    async with raw_upstream(play) as raw, running(signing_in(raw.url), environ={}) as service:
        answered = await post(service)
        assert (answered.status, answered.headers.get("x-should-retry")) == (code, final)
        assert said in message_of(answered)
        assert len(raw.got) == 1, "no model was asked, and no second token"


# -- fallbacks -------------------------------------------------------------------------------------------


def provider(name: str, url: str, **network: Any) -> Provider:
    return Provider(
        name=name,
        url=f"{url}/chat/completions",
        api_key=Secret(f"key-of-{name}"),
        models=("m",),
        network=Network(**network),
    )


def chain(*providers: Provider) -> Config:
    names = tuple(f"{each.name},m" for each in providers[1:])
    router = Router(default=f"{providers[0].name},m", alternatives={"default": names})
    return replace(config_for("http://127.0.0.1:9"), providers=providers, router=router)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.fault("S79", outcome="the second answers; none: the last error, three tries in all")
async def test_a_chain(stream: bool, target: str) -> None:
    play = good_stream if stream else good_completion
    async with raw_upstream(status(503)) as a, raw_upstream(play) as b:
        config = chain(provider("a", a.url), provider("b", b.url))
        async with running(config) as service:
            with_pace(service, Pace(sleep=no_pause))
            answered = await post(service, stream=stream, target=target)
            assert answered.status == 200
            assert b"hel" in answered.body
            await service.idle()
            assert service.records[0]["failed"] == ["a,m: 503"] * 2
            assert [got.headers["authorization"] for got in b.got] == ["Bearer key-of-b"]
            assert "key-of-b" not in "".join(got.head for got in a.got)


@pytest.mark.fault("S79", outcome="the second answers; none: the last error, three tries in all")
async def test_nobody_in_the_chain() -> None:
    async with (
        raw_upstream(status(503)) as a,
        raw_upstream(status(500)) as b,
        running(chain(provider("a", a.url), provider("b", b.url))) as service,
    ):
        with_pace(service, Pace(sleep=no_pause))
        answered = await post(service)
        assert answered.status == 500
        assert message_of(answered).endswith("Failed before: a,m.")
        assert len(a.got) + len(b.got) == 3


@pytest.mark.fault(
    "S79", outcome="a chain that leads back to a route, or to one that is not there, stops the start"
)
async def test_a_loop_in_the_chain() -> None:
    values: dict[str, Any] = {
        "Providers": [
            {"name": name, "api_base_url": "http://127.0.0.1:9/chat", "api_key": "k", "models": ["m"]}
            for name in ("a", "b")
        ],
    }
    for chain, said in (
        (["a,m", "a,m"], r"Router\.default\[1\]: found a,m, as in Router\.default\[0\]"),
        (["a,m", "b,m", "A, m"], r"Router\.default\[2\]: found a,m, as in Router\.default\[0\]"),
        (["a,m", "c,m"], r"Router\.default\[1\]: found 'c,m'"),
    ):
        values["Router"] = {"default": chain}
        with pytest.raises(ConfigError, match=said):
            config_from_bytes(json.dumps(values).encode(), {})


@pytest.mark.fault(
    "S79", outcome="the npm router's `fallback` to the route itself is warned of, and tried once"
)
async def test_a_route_that_stands_in_for_itself() -> None:
    values = {
        "Providers": [
            {"name": name, "api_base_url": "http://127.0.0.1:9/chat", "api_key": "k", "models": ["m"]}
            for name in ("a", "b")
        ],
        "Router": {"default": "a,m"},
        "fallback": {"default": ["a,m", "b,m"]},
    }
    config = config_from_bytes(json.dumps(values).encode(), {})
    assert [warning for warning in config.warnings if "fallback.default leads back to a,m" in warning]
    async with raw_upstream(status(503)) as a, raw_upstream(status(503)) as b:
        moved = (provider("a", a.url, retries=0), provider("b", b.url, retries=0))
        async with running(replace(config, providers=moved)) as service:
            assert (await post(service)).status == 503
            assert (len(a.got), len(b.got)) == (1, 1)


# -- breaker ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("S80", outcome="503 at once; one probe after 15 s restores it")
async def test_an_open_breaker(stream: bool) -> None:
    now = 1000.0
    play = good_stream if stream else good_completion
    async with (
        raw_upstream(*[status(503)] * MAX_FAILURES, play) as raw,
        running(config_for(raw.url)) as service,
    ):
        with_pace(service, Pace(clock=lambda: now, sleep=no_pause))
        for _ in range(MAX_FAILURES):
            assert (await post(service, stream=stream)).status == 503
        answered = await post(service, stream=stream)
        assert (answered.status, kind_of(answered)) == (503, "overloaded_error")
        assert f"databricks, {MODEL}: not asked" in message_of(answered)
        assert answered.headers["retry-after"] == "15"
        assert len(raw.got) == MAX_FAILURES
        now += OPEN_S
        answered = await post(service, stream=stream)
        assert answered.status == 200
        assert (text_of(events(answered)) if stream else answered.json["content"][0]["text"]) == "hello"


@pytest.mark.fault("S73", outcome="400 in the words by which the client compacts")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_is_too_long(stream: bool) -> None:
    body = json.dumps({"error_code": "BAD_REQUEST", "message": "Input is too long for requested model."})
    async with raw_upstream(status(400, body)) as raw, running(config_at(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert (answered.status, kind_of(answered)) == (400, "invalid_request_error")
        assert "prompt is too long: " in message_of(answered)
        assert len(raw.got) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.fault("S74", outcome="an error with its text")
async def test_an_error_with_200(stream: bool) -> None:
    body = '{"error": {"message": "the model is full", "type": "overloaded_error"}}'
    async with raw_upstream(status(200, body)) as raw, running(config_at(raw.url)) as service:
        answered = await post(service, stream=stream)
        assert (answered.status, kind_of(answered)) == (529, "overloaded_error")
        assert "the model is full" in message_of(answered)
        assert len(raw.got) == 1


# -- secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_in_the_last_event(stream: bool, target: str) -> None:
    error = json.dumps({"error": {"message": f"no {UPSTREAM_KEY}"}})

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel") + f"data: {error}\n\n")
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_at(raw.url)) as service:
        answered = await post(service, stream=stream, target=target)
        assert UPSTREAM_KEY.encode() not in answered.body
        assert b"unexpected" not in answered.body
        if stream:
            assert b"no ***" in answered.body
        assert not [entry for entry in service.log if entry.exc_info]


@pytest.mark.parametrize("target", ROUTES)
async def test_a_fault_of_ours_in_the_middle(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer has begun: its connection ends, and no second answer stands in the first one's body."""

    def fault(*_: object) -> bytes:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("ccr.server.front.error_event", fault)

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        await exchange.chunk('data: {"error": {"message": "no"}}\n\n')
        await exchange.end()

    monkeypatch.setattr("ccr.gateway.message_reply.MessageReply.next", broken_next)
    async with (
        raw_upstream(play) as raw,
        running(config_at(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, target, message_body(stream=True)))
        async with asyncio.timeout(5):
            received = b""
            with contextlib.suppress(ConnectionError):
                while data := await client.reader.read(65536):
                    received += data
        assert received.count(b"HTTP/1.1") <= 1
        assert b"HTTP/1.1 500" not in received
        assert not received.endswith(b"0\r\n\r\n")
        await service.idle()
        assert [entry for entry in service.log if entry.exc_info]


async def broken_next(reply: object) -> bytes:
    raise UpstreamError(502, "broken")
