"""The example of docs/transformers.md, as a file of the person's in a running service."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Step, TransformerFile
from ccr.plugins.loading import Plugins, load_plugins
from tests.server.raw_client import ask, request
from tests.server.service import MODEL, config_for, message_body, running
from tests.upstream.raw import good_completion, good_stream, raw_upstream

if TYPE_CHECKING:
    from ccr.plugins.node_steps import Host

GUIDE = Path(__file__).parents[2] / "docs" / "transformers.md"


def no_host() -> Host:
    raise AssertionError("nothing here needs Node")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The example, as somebody would write it down."""
    file = tmp_path / "house.py"
    file.write_text(GUIDE.read_text().partition("```python\n")[2].partition("```")[0])
    return file


async def configured(url: str, house: Path) -> tuple[Config, Plugins]:
    config = config_for(url)
    step = Step(name="house-rules", options={"max_tokens": 100})
    provider = dataclasses.replace(config.providers[0], steps=(step,))
    file = TransformerFile(path=str(house), options={"sign": " — house"})
    config = dataclasses.replace(config, providers=(provider,), transformers=(file,))
    return config, await load_plugins(config, new_host=no_host)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_the_example(house: Path, path: str, *, stream: bool) -> None:
    async with raw_upstream(good_stream if stream else good_completion) as raw:
        config, plugins = await configured(raw.url, house)
        async with running(config, plugins=plugins) as service:
            body = message_body(stream=stream, model=MODEL)
            answered = await ask(service.port, request(service.port, path, body))
        assert answered.status == 200
        assert "— house" in answered.body.decode() or "\\u2014 house" in answered.body.decode()
        (got,) = raw.got
        assert json.loads(got.body)["max_tokens"] == 100
        assert got.headers["x-house"] == "-"
        assert "authorization" in got.headers


async def test_its_refusal(house: Path) -> None:
    async with raw_upstream(good_completion) as raw:
        config, plugins = await configured(raw.url, house)
        async with running(config, plugins=plugins) as service:
            messages: list[Any] = [{"role": "user", "content": "the secret plan"}]
            answered = await ask(service.port, request(service.port, body=message_body(messages=messages)))
        assert answered.status == 400
        assert answered.json["error"]["message"] == "house rules: the secret plan stays in the house"
        assert raw.got == []
