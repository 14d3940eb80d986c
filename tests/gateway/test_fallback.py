"""Routes that stand in for one another, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Network, Provider, Router, Secret
from ccr.errors import RequestError, UpstreamError
from ccr.gateway.fallback import first_answer, routes_to_try
from ccr.gateway.record import Record
from ccr.gateway.replies import Client
from ccr.gateway.routes import Found, Route, Routes
from tests.gateway.test_messages import events, text_of
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import message_body, running
from tests.upstream.raw import (
    Exchange,
    Play,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
)

if TYPE_CHECKING:
    from ccr.upstream.retry import Effort
    from tests.server.raw_client import Answered
    from tests.server.service import Service

MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"


def provider(name: str, url: str, **changes: Any) -> Provider:
    network = Network(retries=changes.pop("retries", 0), pool=changes.pop("pool", None))
    return Provider(
        name=name,
        url=f"{url}/chat/completions",
        api_key=Secret(f"key-of-{name}"),
        models=changes.pop("models", ("m",)),
        network=network,
        **changes,
    )


def config(*providers: Provider, chain: tuple[str, ...] = ()) -> Config:
    return Config(
        providers=providers,
        router=Router(
            default=f"{providers[0].name},{providers[0].models[0]}",
            alternatives={"default": chain} if chain else {},
        ),
        api_timeout_s=20.0,
    )


async def post(service: Service, target: str = MESSAGES, **changes: Any) -> Answered:
    body = message_body(**{"model": "claude-sonnet-4-5", **changes})
    return await ask(service.port, request(service.port, target, body))


def status(code: int, body: str = '{"message": "no"}', **headers: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, code, **headers)

    return play


def saying(text: str) -> Play:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion(text))

    return play


@pytest.mark.parametrize("code", [401, 403, 404, 408, 429, 500, 503, 529])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_the_next_route_answers(code: int, is_stream: bool) -> None:
    async with (
        raw_upstream(status(code)) as a,
        raw_upstream(good_stream if is_stream else good_completion) as b,
    ):
        first, second = provider("a", a.url), provider("b", b.url, models=("n",))
        async with running(config(first, second, chain=("b,n",))) as service:
            answered = await post(service, stream=is_stream)
            assert answered.status == 200
            if is_stream:
                assert text_of(events(answered)) == "hello"
            else:
                assert answered.json["content"][0]["text"] == "hello"
                assert answered.json["model"] == "claude-sonnet-4-5"
            assert json.loads(b.got[0].body)["model"] == "n"
            assert b.got[0].headers["authorization"] == "Bearer key-of-b"
            await service.idle()
            (record,) = service.records
            assert (record["provider"], record["upstream_model"], record["outcome"]) == ("b", "n", "ok")
            assert record["failed"] == [f"a,m: {code}"]
            assert record["fallback"]
            assert service.app.gateway.metrics.snapshot()["fallbacks"] == 1


async def test_a_refused_connection_leads_to_the_next_route() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        nowhere = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with (
        raw_upstream(good_completion) as b,
        running(config(provider("a", nowhere), provider("b", b.url), chain=("b,m",))) as service,
    ):
        assert (await post(service)).status == 200
        assert (await post(service, CHAT)).status == 200


@pytest.mark.parametrize(
    "body",
    ['{"message": "tools.0: bad"}', '{"message": "prompt is too long: 210000 tokens > 200000 maximum"}'],
)
@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_wrong_request_is_not_tried_elsewhere(code: int, body: str) -> None:
    async with raw_upstream(status(code, body)) as a, raw_upstream(good_completion) as b:
        service_config = config(provider("a", a.url), provider("b", b.url), chain=("b,m",))
        async with running(service_config) as service:
            answered = await post(service)
            assert answered.status in {400, code}
            assert len(b.got) == 0


async def test_all_fail_and_the_last_error_names_them() -> None:
    async with raw_upstream(status(503)) as a, raw_upstream(status(429, retry_after="9")) as b:
        service_config = config(provider("a", a.url), provider("b", b.url), chain=("b,m",))
        async with running(service_config) as service:
            answered = await post(service)
            assert (answered.status, answered.headers["retry-after"]) == (429, "9")
            message = answered.json["error"]["message"]
            assert message.startswith("b, m: ")
            assert message.endswith("Failed before: a,m.")


async def test_an_answer_that_is_none_leads_to_the_next_route() -> None:
    async with raw_upstream(status(200, "")) as a, raw_upstream(good_completion) as b:
        service_config = config(provider("a", a.url), provider("b", b.url), chain=("b,m",))
        async with running(service_config) as service:
            assert (await post(service)).status == 200
            assert (await post(service, CHAT)).status == 200


async def test_from_the_native_route_to_the_other() -> None:
    async with raw_upstream(status(503)) as a, raw_upstream(good_completion) as b:
        first = Provider(
            name="a",
            url=f"{a.url}/v1/messages",
            api_key=Secret("k"),
            models=("claude-sonnet-4-5",),
            api="anthropic",
            network=Network(retries=0),
        )
        service_config = config(first, provider("b", b.url), chain=("b,m",))
        async with running(service_config) as service:
            answered = await post(service, model="claude-opus-4-1")
            assert answered.json["content"][0]["text"] == "hello"
            await service.idle()
            assert "api" not in service.records[0]


async def test_a_client_that_leaves_is_not_followed_elsewhere() -> None:
    closed = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(silent) as a, raw_upstream(good_completion) as b:
        service_config = config(provider("a", a.url), provider("b", b.url), chain=("b,m",))
        async with running(service_config) as service:
            async with raw_client(service.port) as client:
                await client.send(request(service.port, MESSAGES, message_body()))
                await a.until(1)
            async with asyncio.timeout(5):
                await closed.wait()
            await service.idle()
            assert service.records[0]["outcome"] == "cancelled"
            assert len(b.got) == 0


# -- pools -----------------------------------------------------------------------------------------------


async def test_a_pool_shares_the_load() -> None:
    arrived = asyncio.Event()
    go = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        arrived.set()
        await go.wait()
        await exchange.answer(completion("slow"))

    async with raw_upstream(slow) as a, raw_upstream(slow) as b:
        service_config = config(provider("a", a.url, pool="p"), provider("b", b.url, pool="p"))
        async with running(service_config) as service:
            first = asyncio.create_task(post(service))
            await arrived.wait()
            second = asyncio.create_task(post(service))
            async with asyncio.timeout(5):
                await asyncio.gather(a.until(1), b.until(1))
            go.set()
            assert [(await each).status for each in (first, second)] == [200, 200]
            assert set(service.app.gateway.status()["upstream"]) == {"a", "b"}


async def test_members_of_a_pool_stand_in_for_each_other() -> None:
    async with raw_upstream(status(503)) as a, raw_upstream(saying("b")) as b:
        service_config = config(provider("a", a.url, pool="p"), provider("b", b.url, pool="p"))
        async with running(service_config) as service:
            for _ in range(4):
                assert (await post(service, model="m")).json["content"][0]["text"] == "b"
            explicit = await post(service, model="a,m")
            assert explicit.json["content"][0]["text"] == "b"
            await service.idle()
            assert service.records[-1]["failed"] == ["a,m: 503"]


# -- decisions -------------------------------------------------------------------------------------------


def routes(*names: str) -> list[Route]:
    providers = [provider(name, f"https://{name}.test", pool="p") for name in names]
    made = Routes(config(*providers))
    return [made.find(f"{name},m").route for name in names]


def order(found: Found, pool: list[Route], **loads: float) -> list[str]:
    tried = routes_to_try(found, pool, load=lambda each: loads.get(each.name, 0.0), session="s")
    return [route.provider.name for route in tried]


def test_the_order_of_routes() -> None:
    a, b, c = routes("a", "b", "c")
    assert order(Found(a, "default"), []) == ["a"]
    assert order(Found(a, "default", (c, b, c, a)), []) == ["a", "c", "b"]
    assert order(Found(a, "default"), [a, b, c], a=2, b=1) == ["c", "b", "a"]
    assert order(Found(a, "explicit"), [a, b, c], a=2, b=1) == ["a", "c", "b"]
    assert order(Found(a, "default", (c,)), [a, b], a=1, b=0, c=0) == ["b", "a", "c"]


def record() -> Record:
    return Record(client=Client(request_id="r"), route="messages", started_at=0.0, body_bytes=0)


@pytest.mark.parametrize(
    ("count", "retries_each", "expected"),
    [
        (1, 2, [2]),
        (2, 2, [1, 0]),
        (2, 0, [1, 1]),
        (3, 2, [0, 0, 0]),
        (5, 2, [0, 0, 0, 0, 0]),
    ],
)
async def test_all_routes_share_three_tries(count: int, retries_each: int, expected: list[int]) -> None:
    given: list[int] = []
    note = record()

    async def ask_route(route: Route) -> str:
        effort: Effort = note.effort
        given.append(effort.retries_left)
        used = min(effort.retries_left, retries_each)
        effort.retries_left -= used
        effort.sent += 1 + used
        raise UpstreamError(503, f"{route.provider.name} is down")

    with pytest.raises(UpstreamError):
        await first_answer(routes(*"abcde"[:count]), note, ask_route)
    assert given == expected


async def test_a_route_that_was_not_asked_costs_no_try() -> None:
    note, given = record(), []

    async def ask_route(route: Route) -> str:
        given.append(note.effort.retries_left)
        raise UpstreamError(503, f"{route.provider.name} rests")

    with pytest.raises(UpstreamError):
        await first_answer(routes("a", "b"), note, ask_route)
    assert given == [1, 2]
    assert note.effort.failures == ["a,m: 503", "b,m: 503"]


async def test_other_errors_pass() -> None:
    async def ask_route(route: Route) -> str:
        raise RequestError(f"{route.model} is wrong")

    with pytest.raises(RequestError):
        await first_answer(routes("a", "b"), record(), ask_route)
