"""Routes of plugins' own (``endPoint``) in a running service: the real Node process, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.plugins.hosting import plugin_loader
from ccr.server.routes import is_built_in
from tests.plugins.test_service import config_for
from tests.server.raw_client import Answered, ask, raw_client, request
from tests.server.service import MODEL, Service, running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ccr.config.model import Config
    from tests.plugins.conftest import PluginFile

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")

PATH = "/v1/responses"


@contextlib.asynccontextmanager
async def serving(
    home: Path, url: str, files: list[dict[str, Any]], use: list[Any] | None = None
) -> AsyncIterator[Service]:
    config = config_for(url, files, ["OpenAI"] if use is None else use)
    load = plugin_loader(home, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: (), is_built_in=is_built_in)
    async with running(config, plugins=await load(config)) as service:
        yield service


async def post(service: Service, *more: str, path: str = PATH, **body: Any) -> Answered:
    data = json.dumps({"model": MODEL, "input": "hello", **body}).encode()
    return await ask(service.port, request(service.port, path, data, *more))


def deltas(answered: Answered) -> str:
    events = [json.loads(line[6:]) for line in answered.body.decode().splitlines() if line]
    return "".join(event.get("delta", "") for event in events)


async def test_a_request_and_its_answer_in_a_form_of_the_plugins_own(
    tmp_path: Path, plugin_file: PluginFile
) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service)
        await service.idle()
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json")
    assert answered.json == {
        "output": "hello",
        "note": "note on hello",
        "route": f"databricks,{MODEL}",
        "url": PATH,
    }
    sent = json.loads(raw.got[0].body)
    assert sent == {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    assert raw.got[0].headers["authorization"] == "Bearer upstream-token"
    (record,) = service.records
    assert (record["route"], record["outcome"], record["upstream_model"]) == (PATH, "ok", MODEL)
    assert (record["input_tokens"], record["sent_bytes"]) == (12, len(answered.body))


async def test_a_stream(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_stream, good_stream) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        for _ in range(2):
            answered = await post(service, stream=True)
            assert (answered.status, deltas(answered)) == (200, "hello")
        await service.idle()
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert raw.connections == 1  # kept, because the answer was complete
    assert [record["outcome"] for record in service.records] == ["ok", "ok"]
    assert service.records[0]["sent_bytes"] == len(answered.body)


async def test_pieces_go_on_as_they_come(tmp_path: Path, plugin_file: PluginFile) -> None:
    more = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("first"))
        await more.wait()
        await exchange.chunk(text_chunk("second") + FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
        raw_client(service.port) as client,
        asyncio.timeout(10),
    ):
        body = json.dumps({"model": MODEL, "input": "hello", "stream": True}).encode()
        await client.send(request(service.port, PATH, body))
        await client.reader.readuntil(b'"first"')
        more.set()
        await client.reader.readuntil(b'"second"')


async def test_routing_is_that_of_every_request(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        for model in (f"databricks,{MODEL}", MODEL.upper(), "claude-sonnet-4-5", "claude-haiku-3"):
            assert (await post(service, model=model)).status == 200, model
        unnamed = await ask(service.port, request(service.port, PATH, b'{"input":"hello"}'))
        unknown = await post(service, model="anything-else")
    assert [json.loads(got.body)["model"] for got in raw.got] == [MODEL] * 4
    assert unnamed.status == 400
    assert unnamed.json["error"]["message"] == "model: Field required"
    assert unknown.status == 400


async def test_the_chain_of_the_provider_is_passed_as_well(tmp_path: Path, plugin_file: PluginFile) -> None:
    files = [{"path": plugin_file("responses.js")}, {"path": plugin_file("streaming.js")}]
    use = [["maxtoken", {"max_tokens": 7}], "streaming", ["customparams", {"user": "me"}]]
    async with (
        raw_upstream(good_stream) as raw,
        serving(tmp_path, raw.url, files, use) as service,
    ):
        answered = await post(service, stream=True)
    assert deltas(answered) == "HELLO"
    assert "note on hello" in answered.body.decode()  # `req` is one object for all hooks of an exchange
    assert json.loads(raw.got[0].body)["user"] == "me"


async def test_what_the_plugin_says_of_url_and_headers(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        raw_upstream(good_completion) as other,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        here = await post(service, elsewhere=f"{raw.url}/beside")
        assert here.status == 200
        there = await post(service, elsewhere=f"{other.url}/there")
        assert there.status == 200
        nowhere = await post(service, elsewhere="http://example.test/x")
    assert raw.got[0].head.startswith("POST /beside ")
    assert raw.got[0].headers["x-end-point"] == "yes"
    assert "authorization" in raw.got[0].headers
    assert "authorization" not in other.got[0].headers  # a key stays with its provider
    assert nowhere.status == 500
    assert "the URL is http, to another machine" in nowhere.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"nonsense", 400, "JSON"),
        (b"[]", 400, "object"),
        (b"", 400, "JSON"),
        (json.dumps({"model": "m", "input": "throw"}).encode(), 500, "TypeError: no such input"),
        (json.dumps({"model": "m", "input": "nonsense"}).encode(), 400, "the transformer responses made of"),
        (b'{"model":5,"input":"x"}', 400, "model"),
        (b'{"model":"m","input":"x","stream":"yes"}', 400, "stream"),
        (b'{"input":' + b"[" * 3000 + b"]" * 3000 + b"}", 400, ""),
    ],
)
async def test_what_cannot_be_answered(
    tmp_path: Path, plugin_file: PluginFile, body: bytes, status: int, message: str
) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await ask(service.port, request(service.port, PATH, body))
        assert answered.status == status, answered.body
        assert message in answered.json["error"]["message"]
        assert not raw.got
        assert service.records[-1]["outcome"] == "error"


async def test_errors_of_the_provider_keep_their_status(tmp_path: Path, plugin_file: PluginFile) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b'{"message":"not you"}', 403)

    async with (
        raw_upstream(refuse) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        with_key = await post(service)
        bearer = ("Authorization: Bearer local-key-0123456789abcdefghij",)
        body = json.dumps({"model": MODEL, "input": "hello"}).encode()
        openai = await ask(service.port, request(service.port, PATH, body, *bearer, without=("key",)))
    assert with_key.status == openai.status == 403
    assert with_key.json["type"] == "error"  # an error is in the words of whoever asks
    assert openai.json["error"]["code"] == "permission_denied"


async def test_a_plugin_may_refuse_with_a_status(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_completion, good_stream) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        for stream in (False, True):
            answered = await post(service, input="refuse", stream=stream)
            assert (answered.status, answered.json) == (422, {"refused": True})
        await service.idle()
    assert [record["status"] for record in service.records] == [422, 422]


async def test_a_plugin_that_fails_in_the_middle(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_stream) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, input="fail later", stream=True)
        await service.idle()
        again = await post(service, stream=True)
        await service.idle()
    assert "the transformer responses failed in transformResponseIn: out of paper" in answered.body.decode()
    assert deltas(again) == "hello"
    assert [record["outcome"] for record in service.records] == ["error", "ok"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_plugin_that_fails_at_once(tmp_path: Path, plugin_file: PluginFile, *, stream: bool) -> None:
    async with (
        raw_upstream(good_stream if stream else good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, input="fail at once", stream=stream)
        await service.idle()
    assert answered.status == 500
    assert "the transformer responses failed in transformResponseIn: no paper" in answered.body.decode()
    assert [record["outcome"] for record in service.records] == ["error"]
    assert any(entry.getMessage() == "a transformer failed" for entry in service.log)


async def test_a_plugin_whose_answer_never_ends(
    tmp_path: Path, plugin_file: PluginFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccr.gateway.end_point_reply.MAX_BODY_BYTES", 3 << 20)
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, input="endless")
        assert answered.status == 502
        assert f"the transformer responses made more than {3 << 20} bytes" in answered.body.decode()
        assert (await post(service)).status == 200


async def test_a_plugin_that_names_no_model(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        assert (await post(service, input="nameless", model="claude-sonnet-4-5")).status == 200
        unnamed = await ask(service.port, request(service.port, PATH, b'{"input":"nameless"}'))
    assert json.loads(raw.got[0].body)["model"] == MODEL
    assert (unnamed.status, unnamed.json["error"]["message"]) == (400, "model: Field required")


async def test_a_provider_that_breaks_off_is_no_success(tmp_path: Path, plugin_file: PluginFile) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hel"))
        exchange.reset()

    async with (
        raw_upstream(play) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, stream=True)
        await service.idle()
    assert b'"error"' in answered.body
    assert service.records[0]["outcome"] == "error"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves(tmp_path: Path, plugin_file: PluginFile, *, stream: bool) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def play(exchange: Exchange) -> None:
        if stream:
            await exchange.stream_head()
            await exchange.chunk(text_chunk("hel"))
        reached.set()
        await exchange.until_closed()
        left.set()

    async with (
        raw_upstream(play) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        async with raw_client(service.port) as client, asyncio.timeout(10):
            body = json.dumps({"model": MODEL, "input": "hello", "stream": stream}).encode()
            await client.send(request(service.port, PATH, body))
            await reached.wait()
            if stream:
                await client.reader.readuntil(b'"hel"')
            client.writer.close()
            await left.wait()
        await service.idle()
        assert [record["outcome"] for record in service.records] == ["cancelled"]


async def test_what_the_plugin_sees_of_the_clients_headers(tmp_path: Path, plugin_file: PluginFile) -> None:
    more = ("X-Team: red", "X-Forwarded-Access-Token: of-the-user", "Cookie: a=b", "X-Name: gr\xfcn")
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, *more, input="headers")
    assert answered.json["x-team"] == "red"
    assert answered.json["x-name"].startswith("gr")
    assert answered.json["content-type"] == "application/json"
    assert not {"x-api-key", "authorization", "cookie", "x-forwarded-access-token"} & answered.json.keys()
    assert "x-team" not in raw.got[0].headers


class TestWho:
    """The guard is that of every route."""

    @pytest.mark.parametrize(
        ("target", "method", "more", "without", "status"),
        [
            (PATH, "POST", (), ("key",), 403),
            (PATH, "POST", ("Origin: http://127.0.0.1",), (), 403),
            (PATH, "POST", ("Sec-Fetch-Site: same-origin",), (), 403),
            (PATH, "POST", ("Host: evil.test",), ("host",), 403),
            (PATH, "POST", ("Content-Type: text/plain",), ("type",), 415),
            (PATH, "POST", ("Content-Encoding: gzip",), (), 415),
            (PATH, "POST", ("Upgrade: websocket",), (), 400),
            (PATH, "GET", (), (), 405),
            (PATH, "OPTIONS", (), (), 405),
            (f"{PATH}?key=1", "POST", (), (), 200),
            (f"{PATH}/", "POST", (), (), 404),
            (f"/{PATH}", "POST", (), (), 404),
            ("/v1/Responses", "POST", (), (), 404),
            ("/v1/%72esponses", "POST", (), (), 404),
            ("/v1/./responses", "POST", (), (), 404),
            ("/x/../v1/responses", "POST", (), (), 404),
            ("/v1\\responses", "POST", (), (), 404),
            (f"http://127.0.0.1{PATH}", "POST", (), (), 400),
        ],
    )
    async def test_may_ask(
        self,
        tmp_path: Path,
        plugin_file: PluginFile,
        target: str,
        method: str,
        more: tuple[str, ...],
        without: tuple[str, ...],
        status: int,
    ) -> None:
        async with (
            raw_upstream(good_completion) as raw,
            serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
        ):
            body = json.dumps({"model": MODEL, "input": "hello"}).encode()
            data = request(service.port, target, body, *more, method=method, without=without)
            assert (await ask(service.port, data)).status == status
            assert len(raw.got) == (status == 200)

    async def test_may_send_how_much(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        async with serving(
            tmp_path, "http://127.0.0.1:9", [{"path": plugin_file("responses.js")}]
        ) as service:
            length = f"Content-Length: {64 * 1024 * 1024 + 1}"
            data = request(service.port, PATH, b"", length, without=("length",))
            assert (await ask(service.port, data)).status == 413


async def test_what_would_be_sent_is_explained(tmp_path: Path, plugin_file: PluginFile) -> None:
    async with (
        raw_upstream(good_completion) as raw,
        serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service,
    ):
        answered = await post(service, "x-ccr-explain: 1")
    assert answered.json["route"] == f"databricks,{MODEL}"
    assert answered.json["request"]["body"]["messages"] == [{"role": "user", "content": "hello"}]
    assert not raw.got


class TestAlone:
    """A provider with nothing but the plugin speaks its form: requests pass as they are, but for ``auth``."""

    async def test_requests_pass(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        async def play(exchange: Exchange) -> None:
            await exchange.answer(b'{"output":"as it is","usage":{"input_tokens":1}}')

        files = [{"path": plugin_file("responses.js")}]
        async with raw_upstream(play) as raw, serving(tmp_path, raw.url, files, ["responses"]) as service:
            answered = await post(service, input="throw", extra=[1, {"deep": 12345678901234567890}])
            await service.idle()
        assert answered.body == b'{"output":"as it is","usage":{"input_tokens":1}}'
        assert json.loads(raw.got[0].body) == {
            "model": MODEL,
            "input": "throw",
            "extra": [1, {"deep": 12345678901234567000}],  # `auth` has it in JavaScript
        }
        assert raw.got[0].headers["authorization"] == "Own upstream-token"
        assert raw.got[0].headers["x-auth"] == "responses"
        assert "x-api-key" not in raw.got[0].headers
        assert service.records[0]["outcome"] == "ok"

    async def test_streams_pass(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        events = 'event: response.created\ndata: {"type":"response.created"}\n\n'
        end = 'event: response.completed\ndata: {"type":"response.completed","response":{"error":null}}\n\n'

        async def play(exchange: Exchange) -> None:
            await exchange.stream_head()
            await exchange.chunk(events)
            await exchange.chunk(end)
            await exchange.end()

        files = [{"path": plugin_file("responses.js")}]
        async with raw_upstream(play) as raw, serving(tmp_path, raw.url, files, ["responses"]) as service:
            answered = await post(service, stream=True)
            await service.idle()
        assert answered.body.decode() == events + end
        assert service.records[0]["outcome"] == "ok"

    async def test_a_login_that_fails_is_an_error(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        files = [{"path": plugin_file("responses.js")}]
        async with (
            raw_upstream(good_completion) as raw,
            serving(tmp_path, raw.url, files, ["responses"]) as service,
        ):
            answered = await post(service, input="no auth")
        assert answered.status == 500
        assert "the transformer responses failed in auth: the login is over" in answered.body.decode()
        assert not raw.got

    async def test_a_refusal_is_one(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        async def refuse(exchange: Exchange) -> None:
            await exchange.answer(b'{"error":{"message":"slow down"}}', 429, **{"retry-after": "7"})

        files = [{"path": plugin_file("responses.js")}]
        async with raw_upstream(refuse) as raw, serving(tmp_path, raw.url, files, ["responses"]) as service:
            answered = await post(service)
        assert (answered.status, answered.headers["retry-after"]) == (429, "7")

    async def test_other_clients_pass_its_hooks_for_providers(
        self, tmp_path: Path, plugin_file: PluginFile
    ) -> None:
        files = [{"path": plugin_file("responses.js")}]
        async with (
            raw_upstream(good_completion) as raw,
            serving(tmp_path, raw.url, files, ["responses"]) as service,
        ):
            body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            data = json.dumps(body).encode()
            answered = await ask(service.port, request(service.port, "/v1/messages", data))
        assert answered.status == 200
        assert json.loads(raw.got[0].body)["seen_by"] == "responses for databricks"
        assert raw.got[0].headers["authorization"] == "Bearer upstream-token"  # `auth` is for what passes

    async def test_a_provider_beside_it_is_asked_in_the_chat_format(
        self, tmp_path: Path, plugin_file: PluginFile
    ) -> None:
        config = config_for("http://127.0.0.1:9", [{"path": plugin_file("responses.js")}], ["responses"])
        async with raw_upstream(good_completion) as raw:
            plain = config_for(raw.url, [], ["OpenAI"]).providers[0]
            config = _with(config, plain, name="plain")
            load = plugin_loader(tmp_path, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())
            async with running(config, plugins=await load(config)) as service:
                answered = await post(service, model=f"plain,{MODEL}")
        assert answered.json["output"] == "hello"
        assert json.loads(raw.got[0].body)["messages"] == [{"role": "user", "content": "hello"}]


def _with(config: Config, provider: Any, **changes: Any) -> Config:
    more = dataclasses.replace(provider, **changes)
    return dataclasses.replace(config, providers=(*config.providers, more))


class TestReload:
    """An edit adds and removes routes; requests under way keep theirs."""

    async def test_a_route_comes_and_goes(self, tmp_path: Path, plugin_file: PluginFile) -> None:
        file = plugin_file("responses.js")
        own = "/v1/mine"  # where ccr answers itself, it does so while the plugin is away
        Path(file).write_text(Path(file).read_text("utf-8").replace(PATH, own), "utf-8")
        load = plugin_loader(tmp_path, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())
        more = asyncio.Event()

        async def slow(exchange: Exchange) -> None:
            await exchange.stream_head()
            await exchange.chunk(text_chunk("hel"))
            await more.wait()
            await exchange.chunk(text_chunk("lo") + FINISH + DONE)
            await exchange.end()

        async with raw_upstream(slow, good_completion) as raw:
            without = config_for(raw.url, [], ["OpenAI"])
            with_it = config_for(raw.url, [{"path": file}], ["OpenAI"])
            async with running(without, plugins=await load(without)) as service:
                live = service.app.live
                assert live.report()["end_points"] == {}
                assert (await post(service, path=own)).status == 404
                live.adopt(with_it, await load(with_it))
                assert live.report()["end_points"] == {own: "responses"}
                async with raw_client(service.port) as client, asyncio.timeout(10):
                    body = json.dumps({"model": MODEL, "input": "hello", "stream": True}).encode()
                    await client.send(request(service.port, own, body))
                    await client.reader.readuntil(b'"hel"')
                    live.adopt(without, await load(without))
                    assert (await post(service, path=own)).status == 404
                    more.set()
                    await client.reader.readuntil(b'"lo"')
                live.adopt(with_it, await load(with_it))
                assert (await post(service, path=own)).status == 200
