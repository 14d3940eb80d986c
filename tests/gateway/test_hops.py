"""Steps of another process in a running service: one hop on the way back, whatever may happen in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.errors import ApiError
from ccr.gateway.patience import Patience
from tests.gateway.transformed import step, transformed_by
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, UPSTREAM_KEY, Service, message_body
from tests.upstream.raw import (
    Exchange,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ccr.transformers.base import Context
    from ccr.transformers.remote import Asked, RemoteStep

FRONTS = ["/v1/messages", "/v1/chat/completions"]


@dataclasses.dataclass
class Hooked:
    body: bytes
    url: str | None = None
    headers: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    timeout_s: float | None = None
    rules: tuple[str, ...] = ()


class Response:
    """An answer on its way: each piece through ``change``."""

    def __init__(
        self, status: int, headers: Mapping[str, str], chunks: AsyncIterator[bytes], host: Host
    ) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks
        self.host = host

    async def next(self, timeout_s: float | None = None) -> bytes:
        if self.host.silence.is_set():
            await asyncio.sleep(timeout_s or 0)
            raise TimeoutError
        async with asyncio.timeout(timeout_s):
            data = await anext(self.chunks, b"")
        return self.host.change(data) if data else b""

    async def close(self) -> None:
        self.host.closed += 1


class Host:
    """Stands for the Node process."""

    def __init__(self, change: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.change = change
        self.hops: list[list[str]] = []
        self.asked: list[Asked] = []
        self.closed = 0
        self.error: ApiError | None = None
        self.status: int | None = None
        self.silence = asyncio.Event()

    async def response(
        self,
        steps: Sequence[RemoteStep],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        context: Context,
        asked: Asked,
    ) -> Response:
        self.hops.append([each.name for each in steps])
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return Response(self.status or status, headers, chunks, self)


class Remote:
    """One use of a plugin."""

    may_request = True
    may_respond = True

    def __init__(self, name: str, host: Host, hooked: Callable[[bytes], Hooked] = Hooked) -> None:
        self.name = name
        self.host = host
        self.hooked = hooked

    async def request(self, body: bytes, context: Context, asked: Asked) -> Hooked:
        return self.hooked(body)

    async def authorize(self, body: bytes, context: Context, asked: Asked) -> Hooked:
        raise NotImplementedError


async def post(service: Service, path: str = "/v1/messages", **changes: Any) -> Answered:
    return await ask(service.port, request(service.port, path, message_body(model=MODEL, **changes)))


def with_key(key: str) -> Callable[[bytes], Hooked]:
    return lambda body: Hooked(json.dumps({**json.loads(body), key: list(json.loads(body))}).encode())


def upper(data: bytes) -> bytes:
    return data.replace(b"hel", b"HEL").replace(b"lo", b"LO")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", FRONTS)
async def test_requests_one_by_one_answers_in_one_hop(path: str, *, stream: bool) -> None:
    host = Host(upper)
    chain = (Remote("a", host, with_key("x-a")), Remote("b", host, with_key("x-b")))
    own = step("request", lambda chat, _: {**chat, "x-own": 1}, "own")
    async with (
        raw_upstream(good_stream if stream else good_completion) as raw,
        transformed_by(raw.url, *chain, own, Remote("c", host)) as service,
    ):
        answered = await post(service, path, stream=stream)
        assert answered.status == 200
        assert "HEL" in answered.body.decode()
        assert host.hops == [["c"], ["b", "a"]]
        sent = json.loads(raw.got[0].body)
        assert "x-a" in sent["x-b"]
        assert sent["x-own"] == 1
        asked = json.loads(host.asked[0].body)
        assert asked["messages"][0]["content"] == "hello"
        assert host.asked[0].path == path
        await service.idle()
        await asyncio.sleep(0)
        assert host.closed == 2


async def test_a_connection_is_used_again_after_a_hop() -> None:
    host = Host()
    async with raw_upstream(good_stream) as raw, transformed_by(raw.url, Remote("a", host)) as service:
        for _ in range(3):
            assert "message_stop" in (await post(service, stream=True)).body.decode()
        assert len(raw.got) == 3


async def test_where_a_plugin_sends_a_request() -> None:
    async with raw_upstream(good_completion) as other:
        there = Remote("a", Host(), lambda body: Hooked(body, f"{other.url}/x", {"x-a": "1"}))
        signed = Remote("b", Host(), lambda body: Hooked(body, None, {"x-a": None, "x-b": "2"}))
        async with transformed_by("http://127.0.0.1:9", there, signed) as service:
            assert (await post(service)).status == 200
        (got,) = other.got
        assert UPSTREAM_KEY not in got.head
        assert (got.headers.get("x-a"), got.headers["x-b"]) == (None, "2")


@pytest.mark.parametrize("body", [b"\xff", b"[1]", b'{"contents":[]}', b'{"model":"m","messages":[1]}'])
async def test_a_body_that_is_no_chat_request_goes_as_it_is(body: bytes) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        transformed_by(
            raw.url, Remote("a", Host(), lambda _: Hooked(body, rules=("plugin_rule",)))
        ) as service,
    ):
        assert (await post(service)).status == 200
        assert raw.got[0].body == body
        assert service.records[0]["rules"] == ["plugin_rule"]


async def test_a_step_of_this_process_needs_an_object() -> None:
    bad = Remote("a", Host(), lambda _: Hooked(b"[1]"))
    own = step("request", lambda chat, _: chat, "own")
    async with raw_upstream(good_completion) as raw, transformed_by(raw.url, bad, own) as service:
        answered = await post(service)
        assert answered.status == 500
        assert "own failed in request: the step before made no JSON object" in answered.body.decode()


async def test_a_url_that_cannot_be() -> None:
    bad = Remote("a", Host(), lambda body: Hooked(body, "ftp://h/"))
    async with raw_upstream(good_completion) as raw, transformed_by(raw.url, bad) as service:
        answered = await post(service)
        assert "a failed in target: the URL does not begin with https://" in answered.body.decode()
        assert raw.got == []


async def test_a_plugins_deadline_for_the_upstream() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.until_closed()

    slow = Remote("a", Host(), lambda body: Hooked(body, timeout_s=0.05))
    async with raw_upstream(play) as raw, transformed_by(raw.url, slow) as service:
        answered = await post(service)
        assert answered.status == 504
        assert "a transformer allows" in answered.body.decode()


@pytest.mark.parametrize("path", FRONTS)
async def test_a_hop_that_fails(path: str) -> None:
    host = Host()
    host.error = ApiError(500, "The transformer a failed")
    async with raw_upstream(good_completion) as raw, transformed_by(raw.url, Remote("a", host)) as service:
        answered = await post(service, path)
        assert answered.status == 500
        assert "The transformer a failed" in answered.body.decode()


async def test_a_plugin_may_answer_with_an_error() -> None:
    host = Host(lambda _: b'{"error":{"message":"no more today"}}')
    host.status = 429
    async with raw_upstream(good_completion) as raw, transformed_by(raw.url, Remote("a", host)) as service:
        answered = await post(service)
        assert answered.status == 429
        assert "no more today" in answered.body.decode()


@pytest.mark.parametrize("path", FRONTS)
async def test_an_upstream_that_breaks_off_in_a_hop(path: str) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        exchange.reset()

    host = Host()
    async with raw_upstream(play) as raw, transformed_by(raw.url, Remote("a", host)) as service:
        answered = await post(service, path, stream=True)
        assert "error" in answered.body.decode()
        await service.idle()
        assert service.records[0]["outcome"] == "error"


async def test_a_hop_that_says_nothing_is_cut() -> None:
    host = Host()
    host.silence.set()
    patience = Patience(ping_s=0.02, idle_s=0.1)
    async with (
        raw_upstream(good_stream) as raw,
        transformed_by(raw.url, Remote("a", host), patience=patience) as service,
    ):
        assert "timeout_error" in (await post(service, stream=True)).body.decode()
    async with (
        raw_upstream(good_completion) as raw,
        transformed_by(raw.url, Remote("a", host), patience=patience) as service,
    ):
        answered = await post(service)
        assert answered.status == 504
        assert "through a" in answered.body.decode()


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.gateway.changed_answers.MAX_BODY_BYTES", 10)
    async with (
        raw_upstream(good_completion) as raw,
        transformed_by(raw.url, Remote("a", Host())) as service,
    ):
        answered = await post(service)
        assert answered.status == 502
        assert "a made more than 10 bytes" in answered.body.decode()


async def test_a_silent_upstream_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.gateway.changed_answers.PAUSE_S", 0.01)

    async def play(exchange: Exchange) -> None:
        await asyncio.sleep(0.05)
        await exchange.answer(completion())

    async def slow_stream(exchange: Exchange) -> None:
        await exchange.stream_head()
        await asyncio.sleep(0.05)
        await exchange.chunk(text_chunk("x"))
        raise ConnectionError

    for playing in (play, slow_stream):
        async with (
            raw_upstream(playing) as raw,
            transformed_by(raw.url, Remote("a", Host())) as service,
        ):
            assert (await post(service, stream=playing is slow_stream)).status == 200
