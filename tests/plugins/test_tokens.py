"""Plugins that sign requests themselves, for providers whose token is renewed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.config.model import Secret, SignIn, Step, TransformerFile
from ccr.plugins.hosting import plugin_loader
from ccr.plugins.log import MAX_TOKENS, PluginLog
from ccr.plugins.node.values import LoadedPlugin
from ccr.plugins.node_steps import NodeStep
from ccr.sandbox import Script, Turn, Workspace
from ccr.transformers.base import Context
from ccr.transformers.remote import Asked
from tests.server.raw_client import ask, request
from tests.server.service import MODEL, config_for, message_body, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import PluginFile

CLIENT, SECRET = "client-1", "the-client-secret"
PRINCIPAL = SignIn(client_id=CLIENT, client_secret=Secret(SECRET))


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
async def test_the_current_token_is_the_plugins_key_and_in_no_log(
    tmp_path: Path, plugin_file: PluginFile
) -> None:
    async with Workspace(Script(turns=[Turn(text="hello")]), clients={CLIENT: SECRET}) as workspace:
        config = config_for(workspace.url)
        provider = dataclasses.replace(
            config.providers[0], api_key=None, sign_in=PRINCIPAL, steps=(Step(name="signing"),)
        )
        file = TransformerFile(path=plugin_file("signing.js"))
        config = dataclasses.replace(config, providers=(provider,), transformers=(file,))
        plugins = await plugin_loader(tmp_path, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())(config)
        async with running(config, environ={}, plugins=plugins) as service:
            body = message_body(model=MODEL)
            answered = await ask(service.port, request(service.port, "/v1/messages", body))
            assert answered.status == 200, answered.body
            explained = await ask(
                service.port, request(service.port, "/v1/messages", body, "x-ccr-explain: 1")
            )
            sent = next(each for each in workspace.requests if each not in workspace.token_requests)
        scheme, _, token = sent.headers["authorization"].partition(" ")
        assert (scheme, len(token) > 20) == ("Bearer", True)
        assert json.loads(explained.body)["request"]["headers"]["Authorization"] == "***"
        assert len(workspace.token_requests) == 1
    log_file = tmp_path / "plugin.log"
    async with asyncio.timeout(5):
        while "Bearer" not in log_file.read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    assert "signing with ***" in log_file.read_text()
    assert token not in log_file.read_text()


class Host:
    def __init__(self) -> None:
        self.providers: list[Any] = []

    async def request(self, _instance: int, _body: bytes, provider: Any, _context: Any, *, hook: str) -> str:
        assert hook == "transformRequestIn"
        self.providers.append(provider)
        return "hooked"


async def test_tokens_change(tmp_path: Path) -> None:
    log = PluginLog(tmp_path / "plugin.log", level="info", secrets=(Secret("first-secret"),))
    host = Host()
    plugin = LoadedPlugin("signing", None, frozenset({"auth"}))
    step = NodeStep(cast("Any", type("Steps", (), {"host": host})()), 1, plugin, {"apiKey": ""}, log.hide)
    context = Context(provider="p", model="m")
    for key in (None, Secret("token-one"), Secret("token-one"), Secret("token-two")):
        await step.request(b"{}", context, Asked(b"", {}, "", key))
    assert [each["apiKey"] for each in host.providers] == ["", "token-one", "token-one", "token-two"]
    log.step("x").write("info", "first-secret token-one token-two")
    assert (tmp_path / "plugin.log").read_text().endswith("x: *** *** ***\n")
    for number in range(MAX_TOKENS):
        log.hide(Secret(f"token-number-{number}"))
    log.step("x").write("info", "first-secret token-one")
    assert (tmp_path / "plugin.log").read_text().endswith("x: *** token-one\n")
