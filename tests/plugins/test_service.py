"""JavaScript plugins in a running service, from a configuration file to the client: the real Node process."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.errors import ConfigError
from ccr.plugins.hosting import plugin_loader
from ccr.transformers.registry import build
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, running
from tests.upstream.raw import good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config
    from tests.plugins.conftest import PluginFile

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
FRONTS = ["/v1/messages", "/v1/chat/completions"]


def config_for(url: str, files: list[dict[str, Any]], use: list[Any], **more: Any) -> Config:
    provider = {
        "name": "databricks",
        "api_base_url": f"{url}/serving-endpoints/{MODEL}/invocations",
        "api_key": "upstream-token",
        "models": [MODEL],
        "transformer": {"use": use},
    }
    values = {
        "transformers": files,
        "Providers": [provider],
        "Router": {"default": f"databricks,{MODEL}"},
        **more,
    }
    return config_from_bytes(json.dumps(values).encode(), {}, check_step=build)


async def answer_of(config: Config, home: Path, path: str, *, stream: bool) -> Answered:
    """Run a service for one request."""
    plugins = await plugin_loader(home, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())(config)
    async with running(config, plugins=plugins) as service:
        # Only what the chat format knows as well: it goes to both fronts.
        messages = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
        body = {"model": MODEL, "max_tokens": 64, "messages": messages, "stream": stream}
        return await ask(service.port, request(service.port, path, json.dumps(body).encode()))


@needs_node
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", FRONTS)
async def test_the_forced_file_does_what_the_built_in_step_does(
    tmp_path: Path, plugin_file: PluginFile, path: str, *, stream: bool
) -> None:
    bodies, answers = [], []
    for options in ({}, {"forceJs": True}):
        async with raw_upstream(good_stream if stream else good_completion) as raw:
            files = [{"path": plugin_file("databricks.js"), "options": options}]
            config = config_for(raw.url, files, ["OpenAI", "databricks-custom"])
            answered = await answer_of(config, tmp_path, path, stream=stream)
            assert answered.status == 200, answered.body
            answers.append(answered)
            bodies.append(raw.got[0].body)
            assert raw.got[0].headers["authorization"] == "Bearer upstream-token"
    assert bodies[0] == bodies[1]
    assert "hel" in answers[1].body.decode()


@needs_node
async def test_what_the_file_writes_in_another_way_means_the_same(
    tmp_path: Path, plugin_file: PluginFile
) -> None:
    schema = '{"type": "object", "properties": {"2": {"minimum": 1.0}, "1": {"const": "\\u00e9"}}, "big": %d}'
    tools = '"tools":[{"name":"f","input_schema":' + schema % (2**60 + 1) + "}]"
    body = f'{{"model":"{MODEL}","max_tokens":64,{tools},"messages":[{{"role":"user","content":"hi"}}]}}'
    written = {}
    for options in ({}, {"forceJs": True}):
        async with raw_upstream(good_completion) as raw:
            files = [{"path": plugin_file("databricks.js"), "options": options}]
            config = config_for(raw.url, files, ["databricks-custom"])
            load = plugin_loader(tmp_path, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())
            async with running(config, plugins=await load(config)) as service:
                answered = await ask(service.port, request(service.port, body=body.encode()))
            assert answered.status == 200
            written[bool(options)] = raw.got[0].body.decode()
    built_in, forced = json.loads(written[False]), json.loads(written[True])
    assert '{"2": {"minimum": 1.0}, "1": {"const": "\\u00e9"}}' in written[False]
    assert '{"1":{"const":"é"},"2":{"minimum":1}}' in written[True]
    of_built_in, of_file = (each["tools"][0]["function"]["parameters"] for each in (built_in, forced))
    assert (of_built_in.pop("big"), of_file.pop("big")) == (2**60 + 1, 1152921504606847000)
    assert built_in == forced


@needs_node
@pytest.mark.parametrize("path", FRONTS)
async def test_a_stream_is_rewritten(tmp_path: Path, plugin_file: PluginFile, path: str) -> None:
    async with raw_upstream(good_stream) as raw:
        config = config_for(raw.url, [{"path": plugin_file("streaming.js")}], ["streaming", "OpenAI"])
        answered = await answer_of(config, tmp_path, path, stream=True)
    assert answered.status == 200
    assert "HEL" in answered.body.decode()
    assert "message_stop" in answered.body.decode() or "[DONE]" in answered.body.decode()


@needs_node
@pytest.mark.parametrize("path", FRONTS)
@pytest.mark.parametrize(
    ("hook", "stream"),
    [
        ("transformRequestIn", False),
        ("transformResponseOut", False),
        ("transformResponseOut", True),
        ("stream", True),
    ],
)
async def test_a_plugin_that_throws_fails_its_request(
    tmp_path: Path, plugin_file: PluginFile, path: str, hook: str, *, stream: bool
) -> None:
    files = [{"path": plugin_file("failing.js")}]
    async with raw_upstream(good_stream if stream else good_completion) as raw:
        config = config_for(raw.url, files, [["failing", {"hook": hook, "way": "throw"}]])
        answered = await answer_of(config, tmp_path, path, stream=stream)
    assert answered.status == 500
    assert "the transformer failing failed" in answered.body.decode()
    assert "out of order" in answered.body.decode()


@needs_node
@pytest.mark.fault("L120", outcome="one that cannot be loaded stops the start with its traceback")
async def test_a_file_that_fails_stops_the_start_with_its_traceback(
    tmp_path: Path, plugin_file: PluginFile
) -> None:
    config = config_for("http://127.0.0.1:9", [{"path": plugin_file("broken.js")}], ["broken"])
    with pytest.raises(ConfigError, match=r"transformers\[0\].path: .*broken.js") as caught:
        await plugin_loader(tmp_path, {}, secrets=lambda _: ())(config)
    assert "at " in str(caught.value)


async def test_without_node_the_start_names_the_plugin(tmp_path: Path, plugin_file: PluginFile) -> None:
    more = {"NODE_COMMAND": str(tmp_path / "no-node")}
    config = config_for("http://127.0.0.1:9", [{"path": plugin_file("plain.js")}], ["plain"], **more)
    with pytest.raises(ConfigError, match=r"Node\.js") as caught:
        await plugin_loader(tmp_path, {}, secrets=lambda _: ())(config)
    assert "plain.js" in str(caught.value) or "transformers[0]" in str(caught.value)
