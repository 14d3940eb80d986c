"""``plugin.log`` of steps in this process: built in, or a Python file; in a running service."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.load import config_from_bytes
from ccr.config.masking import secrets_of_config
from ccr.plugins.hosting import plugin_loader
from ccr.plugins.log import PluginLog
from ccr.transformers.registry import build
from tests.server.raw_client import ask, request
from tests.server.service import MODEL, running
from tests.upstream.raw import good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.config.model import Config

KEY = "upstream-token"
HOUSE = """
from ccr import Transformer

class House(Transformer):
    name = "house"

    def request(self, chat, context):
        self.logger.write("warn", f"the key is upstream-token")
        context.note("house_cap")
        if self.options.get("fails"):
            raise KeyError("no such\\nthing")
        return chat

    def completion(self, completion, context):
        return completion

    def stream(self, context):
        return None
"""
CALLED = "[DEBUG] databricks-custom: transformRequestIn called"


def config_of(url: str, use: list[Any], files: list[dict[str, Any]], **more: Any) -> Config:
    provider = {
        "name": "databricks",
        "api_base_url": f"{url}/serving-endpoints/{MODEL}/invocations",
        "api_key": KEY,
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


async def lines_of(
    home: Path,
    use: list[Any],
    files: list[dict[str, Any]] | None = None,
    *,
    stream: bool = False,
    **more: Any,
) -> list[str]:
    """Return what one request leaves in plugin.log, each line without its time."""
    async with raw_upstream(good_stream if stream else good_completion) as raw:
        config = config_of(raw.url, use, files or [], **more)
        plugins = await plugin_loader(home, {}, secrets=secrets_of_config)(config)
        async with running(config, plugins=plugins) as service:
            body = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
            sent = json.dumps({**body, "stream": stream}).encode()
            await ask(service.port, request(service.port, "/v1/messages", sent))
    file = home / "plugin.log"
    text = file.read_text() if file.exists() else ""
    return [line.partition(" ")[2] for line in text.splitlines()]


async def test_nothing_is_written_unless_somebody_asks(tmp_path: Path) -> None:
    assert await lines_of(tmp_path, ["databricks-custom"]) == []
    assert not (tmp_path / "plugin.log").exists()


@pytest.mark.parametrize("debug", [True, "true"])
async def test_the_option_debug_of_a_built_in_step(tmp_path: Path, debug: Any) -> None:
    assert await lines_of(tmp_path, [["databricks-custom", {"debug": debug}]]) == [CALLED]
    assert (tmp_path / "plugin.log").stat().st_mode & 0o777 == 0o600


async def test_the_option_debug_where_devbox_writes_it(tmp_path: Path) -> None:
    files = [{"path": str(tmp_path / "databricks.js"), "options": {"debug": True}}]
    use = ["OpenAI", "databricks-custom"]
    more = {"LOG": False}
    assert await lines_of(tmp_path, use, files, stream=True, **more) == [CALLED]


async def test_the_level_debug_is_for_all_steps(tmp_path: Path) -> None:
    lines = await lines_of(
        tmp_path, ["OpenAI", "databricks-custom", "enhancetool"], stream=True, LOG_LEVEL="debug"
    )
    assert lines == [CALLED, "[DEBUG] enhancetool: transformResponseOut called"]


async def test_failures_can_be_searched_for_by_their_level(tmp_path: Path) -> None:
    file = tmp_path / "house.py"
    file.write_text(HOUSE)
    file.chmod(0o600)
    files = [{"path": str(file), "options": {"debug": False}}]
    lines = await lines_of(tmp_path, [["house", {"fails": True}]], files)
    assert lines[0] == "[WARN] house: the key is ***"
    (error,) = [line for line in lines if "ERROR" in line]
    assert re.match(r"\[ERROR\] house: Error in transformRequestIn: KeyError: .*Traceback.*house\.py", error)
    assert not [line for line in lines if "called" in line]


async def test_a_file_that_cannot_be_written_is_told_once_and_costs_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plugin.log").mkdir()
    log = PluginLog(tmp_path / "plugin.log", level="debug", failures=logging.getLogger("ccr"))
    for _ in range(3):
        log.step("databricks-custom").called("transformRequestIn")
    assert [record.message for record in caplog.records] == ["Failed to write to log file"]


async def test_the_rules_of_steps_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "house.py"
    file.write_text(HOUSE)
    file.chmod(0o600)
    async with raw_upstream(good_completion) as raw:
        config = config_of(raw.url, ["house", "databricks-custom"], [{"path": str(file)}])
        plugins = await plugin_loader(tmp_path, {}, secrets=secrets_of_config)(config)
        async with running(config, plugins=plugins) as service:
            chat = {
                "model": MODEL,
                "messages": [{"role": "user", "content": "hello"}],
                "response_format": {"type": "json_object"},
                "parallel_tool_calls": True,
            }
            sent = json.dumps(chat).encode()
            for _ in range(2):
                answered = await ask(service.port, request(service.port, "/v1/chat/completions", sent))
                assert answered.status == 200
            status = (await ask(service.port, request(service.port, "/status", method="GET"))).json
    assert status["rules"] == {
        "house_cap": 2,
        "parallel_tool_calls_removed": 2,
        "response_format_as_instruction": 2,
    }
