"""Plugins in the forms their authors write them: the one of Databricks Devbox, and the community's."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Provider, Secret
from ccr.plugins.errors import PluginError
from ccr.plugins.node import NodeHost, provider_for_plugins
from ccr.protocol.openai import decode_chat_request, encode_chat_request
from ccr.transformers.base import Context
from ccr.transformers.databricks import DatabricksCustom
from tests.plugins.chunks import asked, everything, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.plugins.conftest import MakeHost, PluginFile

MARK = {"type": "ephemeral"}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "be kind", "cache_control": MARK}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "héllo", "cache_control": MARK},
                {"type": "image_url", "image_url": {"url": "data:image/png,iVBORw0KGgo="}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ],
    "model": "databricks-claude-sonnet-4-6",
    "max_tokens": 100,
    "stream": True,
}


async def test_the_devbox_form_gives_the_bytes_of_the_built_in_one(
    make_host: MakeHost, plugin_file: PluginFile, tmp_path: Path
) -> None:
    host = make_host(environ={**os.environ, "CCR_TEST_HOME": str(tmp_path)})
    await host.load(plugin_file("databricks.js"), {"debug": True})
    one = await host.instance("databricks-custom", {})
    body = json.dumps(CHAT, ensure_ascii=False, separators=(",", ":")).encode()
    twice = (await host.request(one, body, {}, asked())).body
    twice = (await host.request(one, twice, {}, asked())).body  # as the npm router's configuration has it

    context = Context(provider="p", model=CHAT["model"])
    built_in = DatabricksCustom({"cache_control": "strip"}).request(decode_chat_request(body), context)

    assert twice == encode_chat_request(built_in)
    assert "[INFO] transformRequestIn called" in (tmp_path / "devbox.log").read_text()


async def test_the_devbox_form_leaves_answers_as_they_are(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("databricks.js"), {})
    one = await host.instance("databricks-custom", {})
    data = [b'data: {"a":"\xc3', b'\xbc"}\n\n', b"data: [DONE]\n\n"]
    answer = await host.response([one], 200, {"content-type": "text/event-stream"}, pieces(*data), asked())
    assert await everything(answer) == b"".join(data)
    assert answer.headers == {"content-type": "text/event-stream"}


@pytest.fixture
async def token_server() -> AsyncIterator[tuple[str, list[str]]]:
    """Answer every request with a new token, or with 503 when its refresh token is ``down``."""
    seen: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.split("content-length: ")[1].split("\r\n")[0])
        seen.append((await reader.readexactly(size)).decode())
        status = "503 Down" if "down" in seen[-1] else "200 OK"
        body = json.dumps({"access_token": "new", "expiry_date": 4_000_000_000_000})
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/token", seen
    server.close()
    await server.wait_closed()


PROVIDER = provider_for_plugins(
    Provider(name="p", url="https://api.example/v1/chat", api_key=Secret("unused"), models=("m",))
)


async def test_the_community_form_renews_its_token_and_goes_elsewhere(
    host: NodeHost, plugin_file: PluginFile, tmp_path: Path, token_server: tuple[str, list[str]]
) -> None:
    url, seen = token_server
    credentials = tmp_path / "oauth.json"
    credentials.write_text('{"access_token":"old","refresh_token":"r","expiry_date":1}')
    await host.load(plugin_file("oauth.js"), {"file": str(credentials), "refreshUrl": url})
    one = await host.instance("oauth-cli", {})
    for number in range(2):
        hooked = await host.request(one, b'{"messages":[],"stream":false}', PROVIDER, asked(number))
        assert json.loads(hooked.body) == {"messages": [], "stream": True}
        assert hooked.url == "https://api.example/v2/chat?alt=sse"
        assert hooked.headers == {"authorization": "Bearer new"}
    assert seen == ["refresh_token=r"]
    assert json.loads(credentials.read_text())["access_token"] == "new"


async def test_the_community_forms_failures_name_it(
    host: NodeHost, plugin_file: PluginFile, tmp_path: Path, token_server: tuple[str, list[str]]
) -> None:
    url, _ = token_server
    credentials = tmp_path / "oauth.json"
    credentials.write_text('{"access_token":"old","refresh_token":"down","expiry_date":1}')
    await host.load(plugin_file("oauth.js"), {"refreshUrl": url})
    down = await host.instance("oauth-cli", {"file": str(credentials)})
    with pytest.raises(PluginError, match="oauth-cli failed in transformRequestIn: refresh failed: 503"):
        await host.request(down, b'{"messages":[]}', PROVIDER, asked())
    missing = await host.instance("oauth-cli", {"file": str(tmp_path / "none.json")})
    with pytest.raises(PluginError, match="ENOENT"):
        await host.request(missing, b'{"messages":[]}', PROVIDER, asked())


async def test_the_community_form_changes_a_whole_answer(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("oauth.js"), {})
    one = await host.instance("oauth-cli", {})
    headers = {"content-type": "application/json; charset=utf-8", "x-request-id": "7"}
    body = json.dumps({"choices": [{"message": {"content": "ü" * 100_000}}]}).encode()
    answer = await host.response([one], 200, headers, pieces(body[:100_001], body[100_001:]), asked())
    assert json.loads(await everything(answer)) == json.loads(body) | {"through": "oauth-cli"}
    assert answer.headers == headers
