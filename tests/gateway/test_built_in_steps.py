"""Built-in transformers in a whole service: what their provider is sent, and what the client sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Network, Provider, Secret, Step
from tests.server.raw_client import Answered, ask, request
from tests.server.service import config_for, message_body, running
from tests.transformers.answers import USAGE_CHUNK, call, chunk, completion
from tests.upstream.raw import DONE, Exchange, Play, raw_upstream

if TYPE_CHECKING:
    from ccr.config.model import Config

Json = dict[str, Any]
ADAPTIVE: Json = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
HISTORY = [
    {"role": "user", "content": "hi"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "deep", "signature": ""},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "r"}]},
]


def configured(url: str, model: str, *steps: Step) -> Config:
    provider = Provider(
        name="databricks",
        url=f"{url}/v1/chat/completions",
        api_key=Secret("upstream-token"),
        models=(model,),
        steps=steps,
        network=Network(retries=0),
    )
    return config_for(url, models=(model,), providers=(provider,))


def streaming(*chunks: Json, cut: int) -> Play:
    """Return what answers with these chunks, in reads of ``cut`` bytes."""
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + DONE.encode()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for start in range(0, len(data), cut):
            await exchange.chunk(data[start : start + cut])
        await exchange.end()

    return play


async def asked(port: int, **changes: Any) -> Answered:
    return await ask(port, request(port, "/v1/messages", message_body(**changes)))


def blocks(answered: Answered) -> list[tuple[str, str]]:
    """Return kind and text of each block of a streamed message."""
    found: list[tuple[str, str]] = []
    for line in answered.body.decode().splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        if event.get("type") == "content_block_start":
            found.append((event["content_block"]["type"], ""))
        for key in ("text", "thinking", "partial_json"):
            found[-1:] = [(kind, text + event.get("delta", {}).get(key, "")) for kind, text in found[-1:]]
    return found


@pytest.mark.parametrize(
    ("step", "model", "parameters", "in_history"),
    [
        ("openrouter", "deepseek/deepseek-v3.2", {"reasoning": {"effort": "high"}}, {"reasoning": "deep"}),
        (
            "reasoning",
            "glm-4.6",
            {"thinking": {"type": "enabled"}, "enable_thinking": True},
            {"reasoning_content": "deep"},
        ),
        ("deepseek", "deepseek-chat", {"reasoning_effort": "high"}, {"reasoning_content": "deep"}),
    ],
)
async def test_thinking_there_and_back(step: str, model: str, parameters: Json, in_history: Json) -> None:
    play = streaming(
        chunk({"role": "assistant", "content": "", "reasoning": "deeper"}),
        chunk({"content": "answer"}),
        chunk({}, "stop"),
        USAGE_CHUNK,
        cut=31,
    )
    async with (
        raw_upstream(play) as raw,
        running(configured(raw.url, model, Step(name=step))) as service,
    ):
        answered = await asked(service.port, stream=True, messages=HISTORY, tools=[TOOL], **ADAPTIVE)
        assert blocks(answered) == [("thinking", "deeper"), ("text", "answer")]
        sent = json.loads(raw.got[0].body)
        assert {key: sent[key] for key in parameters} == parameters
        assert {key: value for key, value in sent["messages"][1].items() if key in in_history} == in_history
        assert "thinking" not in sent["messages"][1]
        assert "thinking_dropped" not in service.records[0].get("rules", ())


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_chain_passes_answers_in_reverse(is_stream: bool) -> None:
    steps = [Step(name=name) for name in ("tooluse", "enhancetool", "extrathinktag", "streamoptions")]
    text = "<think>deep</think>answer"
    fragments = [
        call(0, "{'a':", id="call_7", name="f"),
        call(0, "1"),
        call(1, "{response: 'bye'}", name="ExitTool"),
    ]
    calls = [
        {"id": "call_7", "type": "function", "function": {"name": "f", "arguments": "{'a':1"}},
        {"id": "8", "type": "function", "function": {"name": "ExitTool", "arguments": "{response: 'bye'}"}},
    ]

    async def whole(exchange: Exchange) -> None:
        await exchange.answer(json.dumps(completion({"content": text, "tool_calls": calls}, "tool_calls")))

    stream = streaming(
        chunk({"content": text}), *map(chunk, fragments), chunk({}, "tool_calls"), USAGE_CHUNK, cut=7
    )
    async with (
        raw_upstream(stream if is_stream else whole) as raw,
        running(configured(raw.url, "qwen3", *steps)) as service,
    ):
        answered = await asked(service.port, stream=is_stream, tools=[TOOL])
        if is_stream:
            found = dict(blocks(answered))
        else:
            found = {
                each["type"]: each.get("text") or each.get("thinking") for each in answered.json["content"]
            }
        assert found["thinking"] == "deep"
        assert "bye" in found["text"]
        assert "tool_use" in found
        if is_stream:
            assert json.loads(found["tool_use"]) == {"a": 1}
        sent = json.loads(raw.got[0].body)
        assert (sent["tool_choice"], "stream_options" in sent) == ("required", is_stream)
        assert service.records[0]["output_tokens"] == 5


async def test_openai_clients_get_the_same_mended() -> None:
    async def whole(exchange: Exchange) -> None:
        await exchange.answer(json.dumps(completion({"content": "<think>deep</think>answer"})))

    async with (
        raw_upstream(whole) as raw,
        running(configured(raw.url, "qwen3", Step(name="extrathinktag"))) as service,
    ):
        body = {"model": "qwen3", "messages": [{"role": "user", "content": "hi"}]}
        target = request(service.port, "/v1/chat/completions", json.dumps(body).encode())
        answered = await ask(service.port, target)
        message = answered.json["choices"][0]["message"]
        assert (message["reasoning_content"], message["content"]) == ("deep", "answer")
