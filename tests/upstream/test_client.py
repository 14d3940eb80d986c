from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Provider, Secret
from ccr.errors import UpstreamError
from ccr.upstream.client import Upstream
from ccr.upstream.headers import USER_AGENT
from tests.upstream.raw import Exchange, good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ccr.upstream.answer import Answer


def provider(url: str, key: str | None = "the-key") -> Provider:
    return Provider(name="prov", url=url, api_key=Secret(key) if key else None, models=("m",))


@contextlib.asynccontextmanager
async def connected(**settings: object) -> AsyncIterator[Upstream]:
    upstream = Upstream(Config(**settings))  # type: ignore[arg-type] # settings of the test
    try:
        yield upstream
    finally:
        await upstream.close()


async def post(upstream: Upstream, url: str, *, stream: bool = False, body: bytes = b"{}") -> Answer:
    return await upstream.open(provider(url), url, body, stream=stream)


async def fails(upstream: Upstream, url: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await post(upstream, url)
    assert "the-key" not in str(caught.value)
    assert "prov" in caught.value.message
    return caught.value


async def test_only_the_allowed_headers_go_out() -> None:
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        answer = await upstream.open(
            provider(raw.url), raw.url + "/x", b'{"a":1}', {"x-extra": "1"}, stream=True
        )
        assert answer.status == 200
        assert answer.content_type == "application/json"
        answer.close()
        headers = raw.got[0].headers
        assert headers == {
            "host": f"127.0.0.1:{raw.port}",
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "authorization": "Bearer the-key",
            "content-type": "application/json",
            "content-length": "7",
            "user-agent": USER_AGENT,
            "x-extra": "1",
        }
        assert raw.got[0].body == b'{"a":1}'


async def test_no_key_no_authorization() -> None:
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        answer = await upstream.open(provider(raw.url, None), raw.url, b"{}", stream=False)
        await answer.read(timeout_s=5)
        assert "authorization" not in raw.got[0].headers
        assert raw.got[0].headers["accept"] == "application/json"


async def test_a_large_body_goes_out_whole() -> None:
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        body = b"x" * 3 * 2**20
        await (await post(upstream, raw.url, body=body)).read(timeout_s=5)
        assert raw.got[0].body == body


async def test_a_stream_arrives_as_it_is_sent() -> None:
    more = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk("one")
        await more.wait()
        await exchange.chunk("two")
        await exchange.end()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url, stream=True)
        assert await answer.next(5) == b"one"
        with pytest.raises(TimeoutError):
            await answer.next(0.01)
        more.set()
        assert await answer.next(5) == b"two"
        assert await answer.next(5) == b""
        assert answer.is_at_end
        answer.close()


async def test_an_answer_read_to_its_end_gives_its_connection_back() -> None:
    async with raw_upstream(good_completion) as raw, connected() as upstream:
        for _ in range(3):
            answer = await post(upstream, raw.url)
            await answer.read(timeout_s=5)
            answer.close()
        assert [got.connection for got in raw.got] == [1, 1, 1]


async def test_an_answer_closed_in_the_middle_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk("x")
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url, stream=True)
        await answer.next(5)
        answer.close()
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_released_answer_gives_its_connection_back_once_its_end_is_there() -> None:
    more = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk("data: [DONE]\n\n")
        await more.wait()
        await exchange.end()

    async with raw_upstream(play, good_completion) as raw, connected() as upstream:
        answer = await post(upstream, raw.url, stream=True)
        await answer.next(5)
        upstream.release(answer)
        more.set()
        await asyncio.gather(*upstream._finishing)
        answer = await post(upstream, raw.url)
        await answer.read(timeout_s=5)
        upstream.release(answer)
        assert [got.connection for got in raw.got] == [1, 1]


async def test_a_released_answer_without_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.answer.LAST_BYTES_S", 0.01)
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk("data: [DONE]\n\n")
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url, stream=True)
        await answer.next(5)
        upstream.release(answer)
        async with asyncio.timeout(5):
            await closed.wait()


async def test_closing_does_not_wait_for_released_answers() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk("x")
        await exchange.until_closed()

    async with raw_upstream(play) as raw:
        async with connected() as upstream:
            answer = await post(upstream, raw.url, stream=True)
            await answer.next(5)
            upstream.release(answer)
        assert not upstream._finishing


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    async with connected() as upstream:
        error = await fails(upstream, f"http://127.0.0.1:{port}/x")
    assert (error.status, error.should_retry) == (502, None)
    assert f"127.0.0.1:{port} refused" in error.message


async def test_a_name_that_does_not_exist() -> None:
    async with connected() as upstream:
        error = await fails(upstream, "http://nowhere.invalid/x")
    assert error.status == 502
    assert "nowhere.invalid cannot be resolved" in error.message


async def test_plain_http_where_tls_is_expected() -> None:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server, connected() as upstream:
        error = await fails(upstream, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x")
    assert (error.status, error.should_retry) == (502, False)


async def test_the_first_byte_does_not_come() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(play) as raw, connected(api_timeout_s=0.05) as upstream:
        error = await fails(upstream, raw.url)
    assert (error.status, error.error_type) == (504, "timeout_error")
    assert len(raw.got) == 1


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("garbage\r\n\r\n", "failed|not HTTP|without an answer|reset"),
        ("HTTP/1.1 200 OK\r\nx: " + "a" * 1_000_000 + "\r\n\r\n", "failed|not HTTP"),
    ],
)
async def test_no_http_answer(head: str, said: str) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(head)

    async with raw_upstream(play) as raw, connected() as upstream:
        error = await fails(upstream, raw.url)
    assert error.status == 502
    assert any(words in error.message for words in said.split("|"))


async def test_a_redirect_is_not_followed() -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.answer("", 307, location="http://127.0.0.1:9/steal", set_cookie="a=b")

    async with raw_upstream(redirect, good_completion) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        assert answer.status == 307
        await answer.read(timeout_s=5)
        await (await post(upstream, raw.url)).read(timeout_s=5)
        assert "cookie" not in raw.got[1].headers


async def test_a_pooled_connection_that_died_is_replaced_once() -> None:
    async def dies(exchange: Exchange) -> None:
        exchange.reset()

    async with raw_upstream(good_completion, dies, good_completion) as raw, connected() as upstream:
        await (await post(upstream, raw.url)).read(timeout_s=5)
        answer = await post(upstream, raw.url)
        assert answer.status == 200
        await answer.read(timeout_s=5)
        assert [got.connection for got in raw.got] == [1, 1, 2]


async def test_a_replaced_connection_that_dies_too_is_an_error() -> None:
    async def dies(exchange: Exchange) -> None:
        exchange.reset()

    async with raw_upstream(good_completion, dies) as raw, connected() as upstream:
        await (await post(upstream, raw.url)).read(timeout_s=5)
        error = await fails(upstream, raw.url)
        assert error.status == 502
        assert len(raw.got) == 3


async def test_a_fresh_connection_that_dies_is_not_replayed() -> None:
    async def dies(exchange: Exchange) -> None:
        exchange.reset()

    async with raw_upstream(dies) as raw, connected() as upstream:
        error = await fails(upstream, raw.url)
        assert error.status == 502
        assert len(raw.got) == 1


@pytest.mark.parametrize("how", ["reset", "fin", "short"])
async def test_an_answer_that_is_cut(how: str) -> None:
    async def play(exchange: Exchange) -> None:
        if how == "short":
            await exchange.head(content_length="100")
            await exchange.send("x")
        else:
            await exchange.stream_head()
            await exchange.chunk("x")
        if how == "reset":
            exchange.reset()
        else:
            exchange.writer.close()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        with pytest.raises(UpstreamError, match="closed the connection before its answer was complete"):
            await answer.read(timeout_s=5)
        answer.close()


async def test_an_answer_delimited_by_the_end_of_the_connection() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await exchange.send("data: [DONE]\n\n")
        exchange.writer.close()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        assert await answer.read(timeout_s=5) == b"data: [DONE]\n\n"


async def test_early_hints_are_passed_over() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        await exchange.answer("ok")

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        assert (answer.status, await answer.read(timeout_s=5)) == (200, b"ok")


async def test_compressed_although_not_asked_for() -> None:
    async def play(exchange: Exchange) -> None:
        data = gzip.compress(b"data: 1\n\n")
        await exchange.head(content_encoding="gzip", content_length=str(len(data)))
        await exchange.send(data[:5])
        await exchange.send(data[5:])

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        assert await answer.read(timeout_s=5) == b"data: 1\n\n"


async def test_compressed_in_an_unknown_way() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("x", content_encoding="zstd")

    async with raw_upstream(play) as raw, connected() as upstream:
        error = await fails(upstream, raw.url)
    assert "`zstd`" in error.message


async def test_a_body_has_a_limit() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("x" * 1000)

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        with pytest.raises(UpstreamError, match="more than 100 bytes"):
            await answer.read(max_bytes=100, timeout_s=5)
        answer.close()


async def test_a_body_that_stops_is_an_error_and_its_start_is_kept() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.head(content_length="100")
        await exchange.send("start")
        await exchange.until_closed()

    async with raw_upstream(play) as raw, connected() as upstream:
        answer = await post(upstream, raw.url)
        with pytest.raises(UpstreamError, match="stopped in the middle") as caught:
            await answer.read(timeout_s=0.05)
        assert caught.value.status == 504
        answer.close()
        answer = await post(upstream, raw.url)
        assert await answer.read_start(max_bytes=3, timeout_s=0.05) == b"sta"
        answer.close()
        answer = await post(upstream, raw.url)
        assert await answer.read_start(max_bytes=100, timeout_s=0.05) == b"start"
        answer.close()


async def test_a_proxy_is_used_but_not_for_this_machine() -> None:
    async with raw_upstream(good_completion) as proxy, raw_upstream(good_completion) as raw:
        async with connected(proxy_url=Secret(f"http://user:secret@127.0.0.1:{proxy.port}")) as upstream:
            await (await post(upstream, raw.url)).read(timeout_s=5)
            assert len(proxy.got) == 0
            await (await post(upstream, "http://adb.example.test/x")).read(timeout_s=5)
        assert proxy.got[0].head.startswith("POST http://adb.example.test/x HTTP/1.1")
        assert proxy.got[0].headers["authorization"] == "Bearer the-key"


async def test_a_proxy_that_is_down_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    async with connected(proxy_url=Secret(f"http://user:secret@127.0.0.1:{port}")) as upstream:
        error = await fails(upstream, "https://adb.example.test/x")
    assert "PROXY_URL" in error.message
    assert "secret" not in error.message


async def test_a_proxy_that_refuses_is_named() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer("", 407)

    async with (
        raw_upstream(refuse) as proxy,
        connected(proxy_url=Secret(f"http://127.0.0.1:{proxy.port}")) as upstream,
    ):
        error = await fails(upstream, "https://adb.example.test/x")
    assert (error.status, error.should_retry) == (502, False)
    assert "credentials" in error.message


async def test_a_cancelled_request_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.until_closed()
        closed.set()

    async with raw_upstream(play) as raw, connected() as upstream:
        task = asyncio.create_task(post(upstream, raw.url))
        await raw.until(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await closed.wait()


async def test_streams_reuse_connections() -> None:
    async with raw_upstream(good_stream) as raw, connected() as upstream:
        for _ in range(2):
            answer = await post(upstream, raw.url, stream=True)
            await answer.read(timeout_s=5)
        assert raw.connections == 1
