"""The examples of docs/transformers.md, as files of the person's in a running service."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Step, TransformerFile
from ccr.errors import ConfigError
from ccr.plugins.loading import Plugins, load_plugins
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, config_for, message_body, running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    chunk_of,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ccr.plugins.node_steps import Host

GUIDE = Path(__file__).parents[2] / "docs" / "transformers.md"


def no_host() -> Host:
    raise AssertionError("nothing here needs Node")


def example(tmp_path: Path, name: str) -> Path:
    """Write an example down, as somebody would who has read the page."""
    examples = [each.partition("```")[0] for each in GUIDE.read_text().split("```python\n")[1:]]
    (text,) = (each for each in examples if f'name = "{name}"' in each)
    file = tmp_path / "mine.py"
    file.write_text(text)
    file.chmod(0o600)
    return file


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The first example."""
    return example(tmp_path, "house-rules")


async def configured(
    url: str, path: Path, name: str = "house-rules", **options: Any
) -> tuple[Config, Plugins]:
    config = config_for(url)
    step = Step(name=name, options=options or {"max_tokens": 100})
    provider = dataclasses.replace(config.providers[0], steps=(step,))
    file = TransformerFile(path=str(path), options={} if options else {"sign": " — house"})
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


THINKING = {
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "the colour of it", "signature": "c2ln"}],
}
SAID = "The colour, coloured: col"


def thinking_stream(size: int) -> Callable[[Exchange], Awaitable[None]]:
    """Return an answer of a model that thinks, its text in pieces of ``size`` characters."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(chunk_of(delta={"role": "assistant", "content": [THINKING]}))
        for start in range(0, len(SAID), size):
            await exchange.chunk(chunk_of(delta={"content": SAID[start : start + size]}))
        await exchange.chunk(FINISH + DONE)
        await exchange.end()

    return play


async def thinking_completion(exchange: Exchange) -> None:
    text = {"type": "text", "text": SAID}
    message = {"role": "assistant", "content": [THINKING, text]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    await exchange.answer(completion(choices=[choice]))


def texts_of(answered: Answered) -> list[str]:
    """Return the texts of the blocks of a streamed message."""
    texts: dict[int, str] = {}
    for line in answered.body.decode().splitlines():
        event = json.loads(line[6:]) if line.startswith("data: ") else {}
        assert event.get("type") != "error", event
        if event.get("type") == "content_block_delta":
            delta = event["delta"]
            said = delta.get("text") or delta.get("thinking") or ""
            texts[event["index"]] = texts.get(event["index"], "") + said
    return list(texts.values())


async def said_through(tmp_path: Path, play: Any, name: str, *, stream: bool, **options: Any) -> list[str]:
    """Return the texts of an answer that passes an example."""
    async with raw_upstream(play) as raw:
        config, plugins = await configured(raw.url, example(tmp_path, name), name, **options)
        async with running(config, plugins=plugins) as service:
            asked = message_body(stream=stream, thinking={"type": "enabled", "budget_tokens": 2000})
            answered = await ask(service.port, request(service.port, body=asked))
    assert answered.status == 200, answered.body
    if stream:
        return texts_of(answered)
    return [block.get("text") or block["thinking"] for block in answered.json["content"]]


@pytest.mark.parametrize("size", range(1, 9))
async def test_words_are_replaced_wherever_a_stream_cuts_them(tmp_path: Path, size: int) -> None:
    words = {"colour": "color", "The": "This"}
    thought, said = await said_through(tmp_path, thinking_stream(size), "words", stream=True, words=words)
    assert (thought, said) == ("the colour of it", "This color, colored: col")


async def test_words_are_replaced_in_a_whole_answer(tmp_path: Path) -> None:
    words = {"colour": "color"}
    thought, said = await said_through(tmp_path, thinking_completion, "words", stream=False, words=words)
    assert (thought, said) == ("the colour of it", "The color, colored: col")


async def test_words_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="option words is missing"):
        await configured("http://127.0.0.1:9", example(tmp_path, "words"), "words", words=3)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_house_signs_what_a_thinking_model_says(tmp_path: Path, *, stream: bool) -> None:
    play = thinking_stream(5) if stream else thinking_completion
    _, *said = await said_through(tmp_path, play, "house-rules", stream=stream, sign=" — house")
    assert "".join(said) == f"{SAID} — house"


@pytest.mark.parametrize("is_list", [False, True])
async def test_passwords_in_results(tmp_path: Path, *, is_list: bool) -> None:
    text = "ok, Password: hunter2 found"
    result = [{"type": "text", "text": text}] if is_list else text
    messages: list[Any] = [
        {"role": "user", "content": "my password: mine"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": result}]},
    ]
    async with raw_upstream(good_completion) as raw:
        name = "redact-results"
        config, plugins = await configured(raw.url, example(tmp_path, name), name, debug=False)
        async with running(config, plugins=plugins) as service:
            body = message_body(messages=messages, tools=[{"name": "f", "input_schema": {"type": "object"}}])
            assert (await ask(service.port, request(service.port, body=body))).status == 200
            await service.idle()
            assert "result_redacted" in service.records[0]["rules"]
    sent = raw.got[0].body.decode()
    assert "hunter2" not in sent
    assert "Password: [redacted] found" in sent
    assert "my password: mine" in sent
