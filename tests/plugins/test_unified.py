"""Plugins that were written for the npm router's form of thinking, in a running service."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.plugins.hosting import plugin_loader
from ccr.transformers.registry import build
from tests.server.raw_client import ask, request
from tests.server.service import running
from tests.upstream.raw import good_completion, raw_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import PluginFile

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
QWEN = "qwen3-max"
GPT = "databricks-gpt-5"
CLAUDE = "databricks-claude-sonnet-4-5"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": ""}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


@dataclasses.dataclass
class Seen:
    """reasoning, messages: what the plugin saw. sent: what the provider got. rules: counted."""

    reasoning: Any
    messages: list[Any]
    sent: dict[str, Any]
    body: bytes
    rules: dict[str, int]


async def seen_by(
    home: Path, path: str, model: str, use: list[Any], *, thought: Any = THOUGHT, **changes: Any
) -> Seen:
    async with raw_upstream(good_completion) as raw:
        provider = {
            "name": "acme",
            "api_base_url": f"{raw.url}/v1/chat/completions",
            "api_key": "upstream-token",
            "models": [model],
            "transformer": {"use": use},
        }
        values = {
            "transformers": [{"path": path}],
            "Providers": [provider],
            "Router": {"default": f"acme,{model}"},
        }
        config = config_from_bytes(json.dumps(values).encode(), {}, check_step=build)
        plugins = await plugin_loader(home, {"PATH": "/usr/bin:/bin"}, secrets=lambda _: ())(config)
        async with running(config, plugins=plugins) as service:
            messages = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [thought, {"type": "text", "text": "yes"}]},
                {"role": "user", "content": "more"},
            ]
            body = {
                "model": model,
                "max_tokens": 20_000,
                "messages": messages,
                "thinking": {"type": "enabled", "budget_tokens": 8000},
                **changes,
            }
            sent = json.dumps(body).encode()
            answered = await ask(service.port, request(service.port, "/v1/messages", sent))
            assert answered.status == 200, answered.body
            status = (await ask(service.port, request(service.port, "/status", method="GET"))).json
    log = home / "plugin.log"
    lines = log.read_text().splitlines() if log.exists() else []
    told: Any = json.loads(lines[-1].partition("unified: ")[2]) if lines else {}
    log.unlink(missing_ok=True)
    got = raw.got[0].body
    return Seen(told.get("seen"), told.get("messages", []), json.loads(got), got, status["rules"])


async def test_a_plugin_sees_and_uses_them(tmp_path: Path, plugin_file: PluginFile) -> None:
    path = plugin_file("unified.js")
    seen = await seen_by(tmp_path, path, QWEN, [["unified", {"takes": True}]])
    assert seen.reasoning == {"effort": "medium", "enabled": True, "max_tokens": 8000}
    assert seen.messages[1]["thinking"] == {"content": "hm", "signature": ""}
    assert seen.sent["enable_thinking"] is True
    assert seen.sent["messages"][1]["reasoning_content"] == "hm"
    assert "thinking" not in seen.sent["messages"][1]
    assert "reasoning" not in seen.sent
    assert set(seen.rules) == {"thinking_left_to_plugin"}


async def test_a_plugin_may_be_told_not_to_think(tmp_path: Path, plugin_file: PluginFile) -> None:
    use = [["unified", {"takes": True}]]
    off = {"type": "disabled"}
    seen = await seen_by(tmp_path, plugin_file("unified.js"), QWEN, use, thinking=off)
    assert seen.reasoning == {"effort": "none", "enabled": False}
    assert seen.sent["enable_thinking"] is False


@pytest.mark.parametrize(
    ("model", "thought"), [(QWEN, THOUGHT), (GPT, THOUGHT), (CLAUDE, SIGNED)], ids=["qwen", "gpt", "claude"]
)
async def test_what_no_plugin_uses_is_sent_as_without_plugins(
    tmp_path: Path, plugin_file: PluginFile, model: str, thought: Any
) -> None:
    path = plugin_file("unified.js")
    plain = await seen_by(tmp_path, path, model, ["OpenAI"], thought=thought)
    seen = await seen_by(tmp_path, path, model, ["unified"], thought=thought)
    assert seen.reasoning["enabled"] is True
    assert seen.body == plain.body
    assert seen.rules == plain.rules


async def test_a_step_behind_a_plugin_has_the_last_word(tmp_path: Path, plugin_file: PluginFile) -> None:
    seen = await seen_by(tmp_path, plugin_file("unified.js"), QWEN, ["unified", "openrouter"])
    assert seen.sent["reasoning"] == {"max_tokens": 8000}
    assert seen.sent["messages"][1]["reasoning"] == "hm"
    assert "thinking" not in seen.sent["messages"][1]
