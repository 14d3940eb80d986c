from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccr.errors import UpstreamError
from ccr.plugins.errors import PluginError
from tests.plugins.chunks import Upstream, asked, everything, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ccr.plugins.node import HookedResponse, NodeHost
    from tests.plugins.conftest import MakeHost, PluginFile

SSE = {"content-type": "text/event-stream"}


async def made(host: NodeHost, file: str, name: str, **options: object) -> int:
    await host.load(file, {})
    return await host.instance(name, options)


async def through(host: NodeHost, *instances: int, chunks: AsyncIterator[bytes]) -> HookedResponse:
    return await host.response(instances, 200, SSE, chunks, asked())


async def test_a_stream_is_rewritten_event_by_event(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await made(host, plugin_file("streaming.js"), "streaming")
    given_next = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b'data: {"choices":[{"delta":{"content":"h'
        yield 'é"}}]}\n\n'.encode()
        await given_next.wait()  # the first event comes out before the second one comes in
        yield b"data: [DONE]\n\n"

    answer = await through(host, one, chunks=chunks())
    assert (answer.status, answer.headers) == (
        200,
        {"content-type": "text/event-stream", "x-rewritten": "yes"},
    )
    first = await answer.next() + await answer.next()
    assert first == 'data: {"choices":[{"delta":{"content":"HÉ"}}]}\n\n'.encode()
    given_next.set()
    assert await everything(answer) == b"data: [DONE]\n\n"
    assert await answer.next() == b""


TEXT = "grüße 🌍 €"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 60), max_size=8))
async def test_any_cut_of_the_bytes_gives_the_same_text(
    host: NodeHost, plugin_file: PluginFile, cuts: set[int]
) -> None:
    one = await made(host, plugin_file("streaming.js"), "streaming")
    event = (
        f"data: {json.dumps({'choices': [{'delta': {'content': TEXT}}]}, ensure_ascii=False)}\n\n".encode()
    )
    borders = [0, *sorted(cuts), len(event)]
    parts = [event[start:end] for start, end in itertools.pairwise(borders)]
    rewritten = await everything(await through(host, one, chunks=pieces(*parts)))
    assert json.loads(rewritten.removeprefix(b"data: "))["choices"][0]["delta"]["content"] == TEXT.upper()


async def test_plugins_of_a_chain_run_in_the_given_order(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("piping.js"), {})
    a, b = await host.instance("piping", {"mark": "a"}), await host.instance("piping", {"mark": "b"})
    assert await everything(await through(host, b, a, chunks=pieces(b"1", b"2"))) == b"1ba2ba"


async def test_a_megabyte_in_one_piece_and_in_many(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await made(host, plugin_file("piping.js"), "piping")
    large = bytes(range(256)) * 8192
    assert await everything(await through(host, one, chunks=pieces(large))) == large
    small = [large[start : start + 999] for start in range(0, len(large), 999)]
    assert await everything(await through(host, one, chunks=pieces(*small))) == large


async def test_answers_at_the_same_time_do_not_mix(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await made(host, plugin_file("piping.js"), "piping")

    async def exchange(number: int) -> bytes:
        data = [f"{number}-{part};".encode() for part in range(50)]
        answer = await host.response([one], 200, SSE, pieces(*data), asked(number))
        assert await everything(answer) == b"".join(data)
        return data[0]

    firsts = await asyncio.gather(*(exchange(number) for number in range(20)))
    assert len(set(firsts)) == 20


def endless() -> Iterator[bytes]:
    while True:
        yield b"data: x\n\n" * 7000


@pytest.mark.parametrize(("file", "name"), [("piping.js", "piping"), ("streaming.js", "streaming")])
async def test_a_slow_client_slows_the_upstream_down(
    host: NodeHost, plugin_file: PluginFile, file: str, name: str
) -> None:
    one = await made(host, plugin_file(file), name)
    upstream = Upstream(endless())
    answer = await through(host, one, chunks=upstream.chunks())
    taken = 0
    for _ in range(40):
        await asyncio.sleep(0.01)  # the client's slowness, in which an unbounded line would take gigabytes
        taken += len(await answer.next())
    assert upstream.given - taken < 4_000_000
    await answer.close()
    assert upstream.closed.is_set()


async def test_a_client_that_leaves_cancels_plugin_and_upstream(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    one = await made(host, plugin_file("piping.js"), "piping")
    upstream = Upstream([b"first"], stays=True)
    answer = await through(host, one, chunks=upstream.chunks())
    assert await answer.next() == b"first"
    await answer.close()
    assert upstream.closed.is_set()
    assert await answer.next() == b""
    await answer.close()
    hooked = await host.request(one, b'{"messages":[],"wait":"cancelled"}', {}, asked(2))
    assert json.loads(hooked.body)["reason"] == "the client has left"


async def test_a_client_that_leaves_before_the_answer_begins(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await made(host, plugin_file("oauth.js"), "oauth-cli")
    upstream = Upstream([b"{"], stays=True)
    json_headers = {"content-type": "application/json"}
    asking = asyncio.create_task(host.response([one], 200, json_headers, upstream.chunks(), asked()))
    await upstream.began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert upstream.closed.is_set()


async def test_waiting_for_the_next_piece_can_be_given_up_and_taken_up_again(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    await host.load(plugin_file("plain.js"), {})
    for one in (await made(host, plugin_file("piping.js"), "piping"), await host.instance("plain", {})):
        go_on = asyncio.Event()

        async def chunks(go_on: asyncio.Event = go_on) -> AsyncIterator[bytes]:
            yield b"1"
            await go_on.wait()
            yield b"2"

        answer = await through(host, one, chunks=chunks())
        assert await answer.next(5) == b"1"
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await answer.next(0.01)
        go_on.set()
        assert await answer.next(5) == b"2"
        assert await answer.next(5) == b""
        await answer.close()


async def test_an_untouched_answer_can_be_left(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await made(host, plugin_file("plain.js"), "plain")
    upstream = Upstream([b"1"], stays=True)
    answer = await through(host, one, chunks=upstream.chunks())
    assert await answer.next() == b"1"
    with pytest.raises(TimeoutError):
        await answer.next(0.01)
    await answer.close()
    assert upstream.closed.is_set()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("piping.js", "piping"),
        ("streaming.js", "streaming"),
        ("oauth.js", "oauth-cli"),
        ("plain.js", "plain"),
    ],
)
async def test_what_the_upstream_raises_comes_out_as_it_is(
    host: NodeHost, plugin_file: PluginFile, file: str, name: str
) -> None:
    one = await made(host, plugin_file(file), name)
    error = UpstreamError(502, "the upstream broke off")
    headers = {"content-type": "application/json"} if name == "oauth-cli" else SSE
    with pytest.raises(UpstreamError) as caught:
        await everything(
            await host.response([one], 200, headers, Upstream([b"{}"], end=error).chunks(), asked())
        )
    assert caught.value is error


async def test_a_plugin_cannot_make_a_success_of_a_broken_stream(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    file = Path(plugin_file("kind.js"))
    file.write_text(
        "module.exports = class { name = 'kind';"
        " transformResponseOut(r) { return new Response(new ReadableStream({"
        " async start(c) { try { for await (const d of r.body) c.enqueue(d); } catch { c.enqueue('[DONE]'); }"
        " c.close(); } })); } };"
    )
    one = await made(host, str(file), "kind")
    answer = await through(host, one, chunks=Upstream([b"1"], end=UpstreamError(502, "gone")).chunks())
    assert [await answer.next(), await answer.next()] == [b"1", b"[DONE]"]
    with pytest.raises(UpstreamError, match="gone"):
        await answer.next()
    await answer.close()


async def test_a_slow_upstream_is_not_the_plugins_fault(make_host: MakeHost, plugin_file: PluginFile) -> None:
    host = make_host(deadline_s=0.2)
    one = await made(host, plugin_file("oauth.js"), "oauth-cli")
    other = await made(host, plugin_file("streaming.js"), "streaming")

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"a"'
        await asyncio.sleep(0.5)  # longer than a plugin may take
        yield b": 1}"

    answer = await host.response([one], 200, {"content-type": "application/json"}, slow(), asked())
    assert json.loads(await everything(answer)) == {"a": 1, "through": "oauth-cli"}
    assert await everything(await through(host, other, chunks=slow())) == b'{"a": 1}\n'


IN_NODE = (
    "({status: 200, headers: new Headers(), body: require('stream').Readable.from([Buffer.from('node')])})"
)


def streamed(value: str) -> str:
    return f"new Response(new ReadableStream({{start(c) {{ c.enqueue({value}); c.close(); }}}}))"


BODIES = [
    ("new Response('text')", b"text"),
    ("new Response(null, {status: 204})", b""),
    (streamed("'as text'"), b"as text"),
    (streamed("new Uint16Array([0x4142])"), b"BA"),
    (streamed("new ArrayBuffer(2)"), b"\0\0"),
    (IN_NODE, b"node"),
]


@pytest.mark.parametrize(("result", "data"), BODIES)
async def test_what_a_response_hook_may_return(
    host: NodeHost, plugin_file: PluginFile, result: str, data: bytes
) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        f"module.exports = class {{ name = 'own'; async transformResponseOut() {{ return {result}; }} }};"
    )
    one = await made(host, str(file), "own")
    upstream = Upstream([b"never read" * 100_000], stays=True)
    assert await everything(await through(host, one, chunks=upstream.chunks())) == data
    assert upstream.closed.is_set()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("undefined", "transformResponseOut returned undefined; it must return a Response"),
        ("null", "returned null"),
        ("{ok: true}", "returned object"),
        ("new Response(new ReadableStream({start(c) { c.enqueue(5); c.close(); }}))", "holds number"),
    ],
)
async def test_what_a_response_hook_may_not_return(
    host: NodeHost, plugin_file: PluginFile, result: str, reason: str
) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        f"module.exports = class {{ name = 'own'; transformResponseOut() {{ return ({result}); }} }};"
    )
    one = await made(host, str(file), "own")
    with pytest.raises(PluginError, match=reason):
        await everything(await through(host, one, chunks=pieces(b"1")))


async def test_headers_of_the_same_name_are_joined(host: NodeHost, plugin_file: PluginFile) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        "module.exports = class { name = 'own'; transformResponseOut() { return new Response('', {headers:"
        " [['set-cookie', 'a'], ['set-cookie', 'b'], ['x-b', 'c']]}); } };"
    )
    one = await made(host, str(file), "own")
    answer = await through(host, one, chunks=pieces())
    assert answer.headers == {"content-type": "text/plain;charset=UTF-8", "set-cookie": "a, b", "x-b": "c"}
    await answer.close()
