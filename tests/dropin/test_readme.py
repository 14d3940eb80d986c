"""Configurations as the npm router's documentation shows them: each provider is asked as its entry says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.dropin.person import ask, message, person_with
from tests.dropin.providers import Answer, Providers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dropin.conftest import Serve

Json = dict[str, Any]
PLAIN = Answer()
THINKING = Answer(({"reasoning_content": "let me "}, {"reasoning_content": "see"}, {"content": "hello"}))
REASONING = Answer(({"reasoning": "let me "}, {"reasoning": "see"}, {"content": "hello"}))
TAGS = Answer(({"content": "<th"}, {"content": "ink>let me see</think>"}, {"content": "hello"}))
FORCED = Answer(({"content": "<reasoning_content>let me see</reasoning_content>hello"},))
SEEN = [("thinking", "let me see"), ("text", "hello")]
HELLO = [("text", "hello")]
BROKEN = "{command: 'ls -l',}"
CALLS = Answer(
    (
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_9",
                    "type": "function",
                    "function": {"name": "Bash", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": BROKEN[:7]}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": BROKEN[7:]}}]},
    ),
    finish="tool_calls",
)
RUNS = [("tool_use", {"command": "ls -l"})]
EXIT = '{"response": "hello"}'
LEAVES = Answer(
    (
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_9",
                    "type": "function",
                    "function": {"name": "ExitTool", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": EXIT}}]},
    ),
    finish="tool_calls",
)


@dataclass(frozen=True)
class Row:
    """A model as the client names it; what reaches whom, what comes back.

    body: keys and their values, None for a key that must not be there. extras: keys beyond the OpenAI format.
    """

    model: str
    host: str
    path: str
    key: str
    body: Json = field(default_factory=dict)
    answer: Answer = PLAIN
    blocks: list[tuple[str, Any]] = field(default_factory=lambda: HELLO)
    extras: set[str] = field(default_factory=set)
    folder: str = "readme"
    sent_as: str = ""


V1 = "/v1/chat/completions"
ROWS = [
    Row(
        "openrouter,google/gemini-2.5-pro",
        "openrouter.ai",
        "/api" + V1,
        "sk-or-example",
        {"reasoning": {"max_tokens": 31999}, "max_tokens": 32000},
        REASONING,
        SEEN,
        {"reasoning"},
    ),
    Row(
        "openrouter,anthropic/claude-sonnet-4.5",
        "openrouter.ai",
        "/api" + V1,
        "sk-or-example",
        {"reasoning": {"max_tokens": 31999}},
        REASONING,
        SEEN,
        {"reasoning", "reasoning_details", "cache_control"},
    ),
    Row(
        "claude-sonnet-5",
        "api.deepseek.com",
        "/chat/completions",
        "sk-deepseek-example",
        {"max_tokens": 8192, "tool_choice": "required"},
        LEAVES,
        HELLO,
        {"reasoning_content"},
        sent_as="deepseek-chat",
    ),
    Row(
        "deepseek,deepseek-reasoner",
        "api.deepseek.com",
        "/chat/completions",
        "sk-deepseek-example",
        {"max_tokens": 8192, "tool_choice": None},
        THINKING,
        SEEN,
        {"reasoning_content"},
    ),
    Row("claude-haiku-4-5-20251001", "localhost", V1, "ollama", sent_as="qwen3-coder:latest"),
    Row(
        "volcengine,deepseek-r1-250528",
        "ark.cn-beijing.volces.com",
        "/api/v3/chat/completions",
        "sk-ark-example",
        {"max_tokens": 8192},
        THINKING,
        SEEN,
        {"reasoning_content"},
    ),
    Row(
        "siliconflow,moonshotai/Kimi-K2-Instruct",
        "api.siliconflow.cn",
        V1,
        "sk-silicon-example",
        {"max_tokens": 16384},
    ),
    Row(
        "MODELSCOPE,qwen/qwen3-coder-480b-a35b-instruct",
        "api-inference.modelscope.cn",
        V1,
        "ms-example",
        {"max_tokens": 32000, "thinking": None},
        CALLS,
        RUNS,
        sent_as="Qwen/Qwen3-Coder-480B-A35B-Instruct",
    ),
    Row(
        "modelscope,Qwen/Qwen3-235B-A22B-Thinking-2507",
        "api-inference.modelscope.cn",
        V1,
        "ms-example",
        {"thinking": {"type": "enabled", "budget_tokens": 31999}, "enable_thinking": True},
        THINKING,
        SEEN,
        {"thinking", "enable_thinking", "reasoning_content"},
    ),
    Row(
        "dashscope,qwen3-coder-plus",
        "dashscope.aliyuncs.com",
        "/compatible-mode" + V1,
        "sk-dashscope-example",
        answer=CALLS,
        blocks=RUNS,
    ),
    Row("aihubmix,Z/glm-4.5", "aihubmix.com", V1, "sk-hub-example"),
    Row("aihubmix,gemini-2.5-pro", "aihubmix.com", V1, "sk-hub-example"),
    Row(
        "claude-sonnet-5",
        "openrouter.ai",
        "/api" + V1,
        "sk-or-of-mine",
        {"provider": None},
        extras={"reasoning", "reasoning_details", "cache_control"},
        folder="variables",
        sent_as="anthropic/claude-sonnet-4.5",
    ),
    Row(
        "openrouter,moonshotai/kimi-k2",
        "openrouter.ai",
        "/api" + V1,
        "sk-or-of-mine",
        {"provider": {"only": ["moonshotai/fp8"]}},
        extras={"reasoning", "provider"},
        folder="variables",
    ),
    Row(
        "claude-haiku-4-5-20251001",
        "localhost",
        V1,
        "lm-studio",
        folder="variables",
        sent_as="qwen3-30b",
    ),
    Row("groq,moonshotai/kimi-k2-instruct", "api.groq.com", "/openai" + V1, "gsk-example", folder="steps"),
    Row(
        "cerebras,zai-glm-4.6",
        "api.cerebras.ai",
        V1,
        "csk-example",
        {"disable_reasoning": None},
        folder="steps",
    ),
    Row(
        "cerebras,gpt-oss-120b",
        "api.cerebras.ai",
        V1,
        "csk-example",
        {"disable_reasoning": None},
        folder="steps",
    ),
    Row(
        "vercel,alibaba/qwen3-coder",
        "ai-gateway.vercel.sh",
        V1,
        "vck-example",
        {"providerOptions": {"gateway": {"only": ["cerebras"]}}, "reasoning": {"max_tokens": 31999}},
        extras={"providerOptions", "reasoning"},
        folder="steps",
    ),
    Row(
        "openai,gpt-5-mini",
        "api.openai.com",
        V1,
        "sk-openai-example",
        {"max_tokens": None, "max_completion_tokens": 16384},
        folder="steps",
    ),
    Row(
        "chutes,zai-org/GLM-4.5-FP8",
        "llm.chutes.ai",
        V1,
        "cpk-example",
        {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_tokens": 8000},
        FORCED,
        SEEN,
        {"top_k"},
        folder="steps",
    ),
    Row(
        "chutes,deepseek-ai/DeepSeek-R1",
        "llm.chutes.ai",
        V1,
        "cpk-example",
        {"temperature": 0.6, "max_tokens": 8000, "chat_template_kwargs": {"thinking": True}},
        TAGS,
        SEEN,
        {"top_k", "chat_template_kwargs"},
        folder="steps",
    ),
]
VARIABLES = {
    "OPENROUTER_API_KEY": "sk-or-of-mine",
    "LMSTUDIO_URL": "http://localhost:1234",
    "THE_HOUSE_I_TRUST": "moonshotai/fp8",
    "LEVEL_OF_THE_LOG": "warn",
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.folder}-{row.model}")
def test_a_request(row: Row, serve: Serve, *, stream: bool) -> None:
    live = serve(row.folder, **VARIABLES)
    live.providers.answers[row.host], live.providers.extras[row.host] = row.answer, row.extras
    answer = ask(live.client, stream=stream, **message(model=row.model))

    got = live.providers.last()
    assert (got.host, got.path) == (row.host, row.path)
    assert got.headers["authorization"] == f"Bearer {row.key}"
    assert got.body["model"] == (row.sent_as or row.model.partition(",")[2])
    assert bool(got.body.get("stream")) is stream
    assert {key: got.body.get(key) for key in row.body} == row.body
    if stream and row.model.startswith("openai,"):
        assert got.body["stream_options"] == {"include_usage": True}

    found = [
        (block.type, getattr(block, "input", None) or getattr(block, block.type, None))
        for block in answer.content
    ]
    assert found == row.blocks
    assert answer.stop_reason == ("tool_use" if row.blocks is RUNS else "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (120, 7)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("model", "host", "max_tokens"),
    [
        ("openrouter,google/gemini-2.5-pro", "openrouter.ai", 50_000),
        ("claude-sonnet-5", "api.deepseek.com", 8192),
        ("siliconflow,moonshotai/Kimi-K2-Instruct", "api.siliconflow.cn", 16384),
    ],
)
def test_the_other_front_has_the_same_routes_and_steps(
    serve: Serve, model: str, host: str, max_tokens: int, *, stream: bool
) -> None:
    live = serve("readme")
    live.providers.answers.clear()
    live.providers.answers["openrouter.ai"] = REASONING
    with openai.OpenAI(base_url=f"{live.person.address}/v1", api_key=live.client.auth_token) as client:
        said: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
        if stream:
            options: openai.types.chat.ChatCompletionStreamOptionsParam = {"include_usage": True}
            chunks = list(
                client.chat.completions.create(
                    model=model, messages=said, max_tokens=50_000, stream=True, stream_options=options
                )
            )
            text = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
            usage = chunks[-1].usage
        else:
            whole = client.chat.completions.create(model=model, messages=said, max_tokens=50_000)
            text, usage = whole.choices[0].message.content or "", whole.usage
    assert text == "hello"
    assert usage is not None
    assert usage.completion_tokens == 7
    got = live.providers.last()
    assert (got.host, got.body["max_tokens"]) == (host, max_tokens)


def test_long_context_thinking_and_web_search(serve: Serve) -> None:
    live = serve("readme")
    live.providers.extras |= {"openrouter.ai": {"reasoning"}, "api.deepseek.com": {"reasoning_content"}}
    live.providers.answers.clear()
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    requests: dict[str, Json] = {
        "google/gemini-2.5-pro": message("word " * 90_000),
        "deepseek-reasoner": message(
            thinking={"type": "enabled", "budget_tokens": 60_000}, max_tokens=64_000
        ),
        "gemini-2.5-pro": message(
            tools=[search], messages=[{"role": "user", "content": "news?"}], thinking=None
        ),
    }
    for model, request in requests.items():
        ask(live.client, stream=True, **request)
        assert live.providers.last().body["model"] == model


def test_what_is_not_there_yet_is_said_at_the_start(tmp_path: Path) -> None:
    with Providers() as providers:
        person = person_with("gemini", tmp_path, providers.url)
        done = person.run("start")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "Providers[0].transformer.use[0]" in said
    assert "gemini" in said
    assert "OpenAI-compatible" in said
    assert said.count("found") == 1
    assert person.files() == person.before
