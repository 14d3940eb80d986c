from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Provider, Secret, Step
from ccr.plugins.errors import PluginError
from ccr.plugins.node import ClientRequest, NodeHost, provider_for_plugins
from tests.plugins.chunks import asked, everything, pieces

if TYPE_CHECKING:
    from tests.plugins.conftest import MakeHost, PluginFile

PROVIDER = provider_for_plugins(
    Provider(
        name="acme",
        url="https://acme.example/v1/chat/completions",
        api_key=Secret("key-of-acme"),
        models=("m1", "m2"),
        steps=(Step(name="noting"), Step(name="maxtoken", options={"max_tokens": 5})),
        model_steps={"m1": (Step(name="tooluse"),)},
    )
)


def body(**values: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "héllo 🌍"}], **values}).encode()


async def test_a_plugin_gets_the_request_the_provider_and_what_the_client_asked(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    loaded = await host.load(plugin_file("noting.js"), {"file": 1, "both": "file"})
    assert loaded.name == "noting"
    assert loaded.end_point is None
    assert loaded.hooks == {"transformRequestIn", "transformResponseOut"}
    instance = await host.instance("noting", {"both": "step"})
    context = ClientRequest(id="r", body=b'{"model":"m"}', headers={"x-a": "1"}, session_id="s")

    hooked = await host.request(instance, body(model="m1"), PROVIDER, context)

    sent = json.loads(hooked.body)
    assert sent["messages"] == [{"role": "user", "content": "héllo 🌍"}]
    assert sent["options"] == {"file": 1, "both": "step"}
    assert sent["provider"] == {
        "name": "acme",
        "baseUrl": "https://acme.example/v1/chat/completions",
        "api_base_url": "https://acme.example/v1/chat/completions",
        "apiKey": "key-of-acme",
        "api_key": "key-of-acme",
        "models": ["m1", "m2"],
        "transformer": {"use": ["noting", ["maxtoken", {"max_tokens": 5}]], "m1": {"use": ["tooluse"]}},
    }
    assert sent["req"] == {
        "id": "r",
        "url": "/v1/messages",
        "headers": {"x-a": "1"},
        "sessionId": "s",
        "body": {"model": "m"},
    }
    assert (hooked.url, hooked.headers, hooked.timeout_s, hooked.rules) == (None, {}, None, ())


async def test_each_use_has_an_object_of_its_own(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("noting.js"), {})
    first, second = await host.instance("noting", {}), await host.instance("noting", {"mark": "2"})
    calls = [
        json.loads((await host.request(each, body(), PROVIDER, asked(number))).body)["calls"]
        for number, each in enumerate((first, first, second, first))
    ]
    assert calls == [1, 2, 1, 3]


async def test_the_answer_finds_what_the_request_left_on_req(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("noting.js"), {})
    one = await host.instance("noting", {})
    await host.request(one, body(), PROVIDER, asked(1))
    await host.request(one, body(), PROVIDER, asked(2))
    answer = await host.response([one], 200, {}, pieces(b""), asked(1))
    assert (await everything(answer), answer.headers["x-model"]) == (b"note 1 ", "m")
    unknown = await host.response([one], 200, {}, pieces(), asked(3))
    assert await everything(unknown) == b"undefined "


async def test_req_names_the_route_that_is_asked_now(host: NodeHost, plugin_file: PluginFile) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        "module.exports = class { name = 'own'; transformRequestIn(r, p, { req }) {"
        " req.seen = (req.seen ?? 0) + 1;"
        " return { messages: [], route: `${req.provider},${req.model} ${req.seen}` }; } };"
    )
    await host.load(str(file), {})
    one = await host.instance("own", {})
    routes = []
    for provider, model in (("a", "m"), ("b", "n")):  # the second stands in for the first
        context = ClientRequest(id="r", provider=provider, model=model)
        routes.append(json.loads((await host.request(one, body(), PROVIDER, context)).body)["route"])
    assert routes == ["a,m 1", "b,n 2"]


async def test_many_requests_at_a_time_keep_their_notes(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("noting.js"), {})
    one = await host.instance("noting", {})
    for number in range(200):
        await host.request(one, body(), PROVIDER, asked(number))
    for number in (0, 100, 199):
        answer = await host.response([one], 200, {}, pieces(), asked(number))
        assert await everything(answer) == f"note {number + 1} ".encode()


async def test_answers_that_never_come_cost_bounded_memory(host: NodeHost, plugin_file: PluginFile) -> None:
    file = Path(plugin_file("own.js"))
    file.write_text(
        "const all = []; module.exports = class { name = 'own'; transformRequestIn(r, p, { req }) {"
        " req.note = all.push(req); return { messages: [], kept: all.map((each) => each.body.n ?? null) }; }"
        " transformResponseOut(r, { req }) { return new Response(`${req.note} ${req.body.n}`); } };"
    )
    await host.load(str(file), {})
    one = await host.instance("own", {})
    bodies = [json.dumps({"n": number, "text": "x" * 12_000_000}).encode() for number in range(4)]
    for number, data in enumerate(bodies):
        hooked = await host.request(one, body(), PROVIDER, asked(number, data))
    assert json.loads(hooked.body)["kept"] == [None, None, 2, 3]
    oldest = await host.response([one], 200, {}, pieces(), asked(0, bodies[0]))
    assert await everything(oldest) == b"1 0"  # its note is there, and its body again


async def test_a_megabyte_goes_there_and_back(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("piping.js"), {})
    one = await host.instance("piping", {})
    large = body(text="ü" * 1_000_000)
    hooked = await host.request(one, large, PROVIDER, asked())
    assert json.loads(hooked.body) == json.loads(large)


async def test_a_body_beyond_the_limit_is_refused(
    host: NodeHost, plugin_file: PluginFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.load(plugin_file("piping.js"), {})
    one = await host.instance("piping", {})
    monkeypatch.setattr("ccr.plugins.node.frames.MAX_FRAME_BYTES", 1000)
    with pytest.raises(PluginError, match=r"piping .*2\d\d\d bytes is too large") as caught:
        await host.request(one, body(text="x" * 2000), PROVIDER, asked())
    assert caught.value.should_retry is False


async def test_a_plugin_without_hooks_costs_nothing(host: NodeHost, plugin_file: PluginFile) -> None:
    loaded = await host.load(plugin_file("plain.js"), {})
    assert (loaded.name, loaded.hooks) == ("plain", frozenset())
    one = await host.instance("plain", {})
    await host.close()  # nothing of what follows reaches the child
    assert (await host.request(one, b"as it is", PROVIDER, asked())).body == b"as it is"
    answer = await host.response([one], 200, {"a": "b"}, pieces(b"as ", b"", b"it is"), asked())
    assert (await everything(answer), answer.headers) == (b"as it is", {"a": "b"})


async def test_auth_follows_the_request_hook(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("failing.js"), {})
    hooked = await host.request(await host.instance("failing", {}), body(), PROVIDER, asked())
    assert (json.loads(hooked.body), hooked.headers) == (json.loads(body()), {"x-auth": "key-of-acme"})


RESULTS = [
    ("request", {}, (None, {}, None, ())),
    ("{body: request}", {}, (None, {}, None, ())),
    (
        "{body: {a: 1}, config: {url: new URL('https://x.example/a?b=c')}}",
        {"a": 1},
        ("https://x.example/a?b=c", {}, None, ()),
    ),
    ("{body: request, config: {url: 'https://x.example/'}}", {}, ("https://x.example/", {}, None, ())),
    (
        "{config: {headers: {a: 1, b: undefined, c: null}}}",
        {},
        (None, {"a": "1", "b": None, "c": None}, None, ()),
    ),
    ("{body: request, config: {headers: new Headers({A: 'x'})}}", {}, (None, {"a": "x"}, None, ())),
    ("{body: request, config: {TIMEOUT: 1500}}", {}, (None, {}, 1.5, ())),
    (
        "{body: request, config: {signal: AbortSignal.timeout(9), httpsProxy: 'http://p'}}",
        {},
        (None, {}, None, ("plugin_signal_ignored", "plugin_https_proxy_ignored")),
    ),
]


@pytest.mark.parametrize(("result", "sent", "rest"), RESULTS)
async def test_what_a_request_hook_may_return(
    host: NodeHost, plugin_file: PluginFile, result: str, sent: dict[str, Any], rest: tuple[Any, ...]
) -> None:
    file = plugin_file("own.js")
    with open(file, "w") as script:  # noqa: PTH123, ASYNC230 - a few bytes
        script.write(
            f"module.exports = class {{ name = 'own'; transformRequestIn(request) {{ return {result}; }} }};"
        )
    await host.load(file, {})
    hooked = await host.request(await host.instance("own", {}), b'{"messages":[]}', PROVIDER, asked())
    assert json.loads(hooked.body) == (sent or {"messages": []})
    assert hooked[1:] == rest


async def test_a_route_of_the_plugins_own(host: NodeHost, plugin_file: PluginFile) -> None:
    loaded = await host.load(plugin_file("endpoint.js"), {})
    assert loaded.end_point == "/v1/other"
    one = await host.instance("endpoint", {})
    hooked = await host.request(
        one, b'{"input":"hi","model":"m"}', PROVIDER, asked(), hook="transformRequestOut"
    )
    assert json.loads(hooked.body) == {
        "messages": [{"role": "user", "content": "hi"}],
        "model": "m",
        "seen": "/v1/messages",
    }
    completion = b'{"choices":[{"message":{"content":"ho"}}]}'
    answer = await host.response([one], 200, {}, pieces(completion), asked(), hook="transformResponseIn")
    assert (answer.status, json.loads(await everything(answer))) == (201, {"output": "ho"})


async def test_objects_are_released(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.release(1)
    await host.load(plugin_file("noting.js"), {})
    one = await host.instance("noting", {})
    await host.release(one)
    with pytest.raises(KeyError):
        await host.request(one, body(), PROVIDER, asked())
    two = await host.instance("noting", {})
    await host.close()
    await host.release(two)


async def test_the_same_file_twice_with_other_options(make_host: MakeHost, plugin_file: PluginFile) -> None:
    host = make_host()
    for mark in ("first", "second"):
        await host.load(plugin_file("noting.js"), {"mark": mark})
    one = await host.instance("noting", {})
    assert json.loads((await host.request(one, body(), PROVIDER, asked())).body)["options"] == {
        "mark": "second"
    }
