"""``ccr config check`` and ``ccr doctor`` load the person's own files, and name those that do not load."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Step, TransformerFile
from ccr.errors import ConfigError
from ccr.plugins.hosting import plugin_loader
from ccr.server.routes import is_built_in
from ccr.setup.check_plugins import load_own_files, names_own_files, plugin_findings
from tests.server.service import config_for

if TYPE_CHECKING:
    from pathlib import Path

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
ENDPOINT = "module.exports = class { name = 'own-route'; endPoint = '/status'; };"


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)
    return file


def config_with(file: Path | None = None, router: Path | None = None, *steps: Step) -> Config:
    config = config_for("http://127.0.0.1:1")
    provider = dataclasses.replace(config.providers[0], steps=steps)
    files = () if file is None else (TransformerFile(path=str(file)),)
    return dataclasses.replace(config, providers=(provider,), transformers=files, custom_router=router)


async def test_nothing_to_load(tmp_path: Path) -> None:
    config = config_with(None, None, Step(name="OpenAI"))
    assert not names_own_files(config)
    assert await plugin_findings(config, tmp_path, {}) == []


@pytest.mark.parametrize(
    ("router", "reason"),
    [
        pytest.param("router.py", "ZeroDivisionError", id="python"),
        pytest.param("router.js", "out of order", id="javascript", marks=needs_node),
    ],
)
async def test_a_custom_router_that_does_not_load(tmp_path: Path, router: str, reason: str) -> None:
    text = "1 / 0" if router.endswith(".py") else "throw new Error('out of order');"
    config = config_with(None, written(tmp_path, router, text))
    assert names_own_files(config)
    with pytest.raises(ConfigError, match="CUSTOM_ROUTER_PATH"):
        await load_own_files(config, tmp_path, os.environ)
    (finding,) = await plugin_findings(config, tmp_path, os.environ)
    assert (finding.check, finding.status) == ("plugins", "failed")
    assert reason in finding.text
    assert "CUSTOM_ROUTER_PATH" in finding.text


@pytest.mark.parametrize(
    ("router", "text"),
    [
        pytest.param("router.py", "def route(request, config): return None", id="python"),
        pytest.param(
            "router.js",
            "module.exports = async () => { throw new Error(); };",
            id="javascript",
            marks=needs_node,
        ),
    ],
)
async def test_a_custom_router_that_loads_is_not_called(tmp_path: Path, router: str, text: str) -> None:
    config = config_with(None, written(tmp_path, router, text))
    (finding,) = await plugin_findings(config, tmp_path, os.environ)
    assert finding.status == "ok"


@needs_node
async def test_a_route_that_cannot_be_served_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_with(written(tmp_path, "own.js", ENDPOINT), None, Step(name="own-route"))
    (finding,) = await plugin_findings(config, tmp_path, os.environ)
    assert finding.status == "warning"
    assert "the endPoint /status of own-route is not served: ccr answers there itself" in finding.text
    log = logging.getLogger("ccr.test")
    load = plugin_loader(tmp_path, os.environ, secrets=lambda _: (), log=log, is_built_in=is_built_in)
    await (await load(config)).close()
    assert [record.getMessage() for record in caplog.records] == [finding.text]


async def test_a_transformer_that_does_not_load(tmp_path: Path) -> None:
    config = config_with(written(tmp_path, "mine.py", "1 / 0"), None, Step(name="mine"))
    (finding,) = await plugin_findings(config, tmp_path, {})
    assert finding.status == "failed"
    assert "found mine.py, which cannot be loaded" in finding.text
