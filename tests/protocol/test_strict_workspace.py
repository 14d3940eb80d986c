"""Whatever a client may send becomes a request that the strict workspace takes, for every kind of model.

The checks are those of ``ccr sandbox``, which know nothing of the conversion.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.catalog.lookup import traits_of
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.openai import encode_chat_request
from ccr.sandbox.checks import decode_body, problem_of_chat_request
from ccr.sandbox.models import rules_of
from ccr.sandbox.signatures import redacted_data_of, signature_of
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from random import Random

Json = dict[str, Any]
MODELS = (
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-opus-5-5",
    "databricks-gpt-oss-120b",
    "databricks-meta-llama-3-3-70b-instruct",
    "databricks-gemini-2-5-pro",
    "databricks-gpt-5",
    "databricks-kimi-k3",
)
TEXTS = (
    "hi",
    "größe ☕",
    "",
    " ",
    "\n\t",
    "\u00a0",
    "x-anthropic-billing-header: a\nrest",
    "</system-reminder>",
)
IDS = ("t1", "t2", "t3", "t 4/é", "", None)
NAMES = ("Bash", "Read", "a.b", "é", "x" * 140, "", None)
MARKS = (
    {"type": "ephemeral"},
    {"type": "ephemeral", "ttl": "1h"},
    {"type": "ephemeral", "scope": "global"},
    None,
)
SCHEMAS: tuple[Json, ...] = (
    {"type": "object"},
    {},
    {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}},
)
THINKING = (
    {"type": "enabled", "budget_tokens": 1},
    {"type": "enabled", "budget_tokens": 5000},
    {"type": "adaptive", "display": "omitted"},
    {"type": "disabled"},
)
CHOICES = ({"type": "auto", "disable_parallel_tool_use": True}, {"type": "any"}, {"type": "none"})
FORMAT = {"type": "json_schema", "schema": {"type": "object"}}
OPTIONS: Json = {
    "max_tokens": (1, 1024, 1025, 5000, 64_000),
    "thinking": THINKING,
    "tool_choice": CHOICES,
    "output_config": ({"effort": "low"}, {"effort": "max"}, {"format": FORMAT}, {}),
    "system": (
        "You help.",
        *([{"type": "text", "text": text, "cache_control": MARKS[2]}] * 2 for text in TEXTS),
    ),
    "temperature": (0, 0.5, 1),
    "top_p": (0.5, 0.99),
    "top_k": (0, 5),
    "stop_sequences": (["A"], [" ", ""], []),
    "metadata": ({"user_id": "u"},),
}


def inlined(kind: str, media_type: str, data: bytes) -> Json:
    source = {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}
    return {"type": kind, "source": source}


def block(random: Random, model: str, *, in_result: bool = False) -> Json:
    """A content block of any kind, wherever it may stand."""
    text, thought = random.choice(TEXTS), random.choice(("hm", ""))
    said: list[Any] = (
        [] if in_result else [block(random, model, in_result=True) for _ in range(random.randrange(3))]
    )
    signed = {"signature": random.choice((signature_of(model, thought), "", None))}
    blocks: list[Json] = [
        {"type": "text", "text": text},
        {"type": "text", "text": text},
        inlined("image", "image/png", png()),
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {
            **inlined("document", "application/pdf", pdf()),
            "title": random.choice(("t", None)),
            "context": text,
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": text}]}},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
        {"type": "tool_reference", "tool_name": "Bash"},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s",
            "content": random.choice(([], {"type": "error"})),
        },
        {"type": "of_tomorrow", "text": random.choice((text, None))},
    ]
    if not in_result:
        results = (text, None, said)
        blocks += [
            {"type": "tool_use", "id": random.choice(IDS), "name": random.choice(NAMES), "input": {"a": 1}},
            {"type": "tool_use", "id": random.choice(IDS), "name": "Bash", "input": None},
            {"type": "tool_result", "tool_use_id": random.choice(IDS), "content": random.choice(results)},
            {"type": "tool_result", "tool_use_id": "t1", "content": random.choice(results), "is_error": True},
            {"type": "thinking", "thinking": thought, **signed},
            {"type": "redacted_thinking", "data": random.choice((redacted_data_of(model, "x"), ""))},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
        ]
    chosen = random.choice(blocks)
    return {**chosen, "cache_control": random.choice(MARKS)} if random.random() < 0.2 else chosen


def request_of(random: Random) -> Json:
    """A request of any kind, its last message the user's."""
    model = random.choice(MODELS)
    messages = []
    for _ in range(random.randrange(8)):
        blocks = [block(random, model) for _ in range(random.randrange(5))]
        content = random.choice((blocks, blocks, blocks, random.choice(TEXTS)))
        messages.append({"role": random.choice(("user", "assistant", "system")), "content": content})
    tools: list[Json] = [
        {"name": random.choice(NAMES[:2]), "input_schema": random.choice(SCHEMAS), "strict": True}
        for _ in range(random.randrange(3))
    ]
    if random.random() < 0.3:
        tools.append({"type": "web_search_20250305", "name": "web_search"})
    chosen = {key: random.choice(values) for key, values in OPTIONS.items() if random.random() < 0.4}
    last = {"role": "user", "content": "go on"}
    return {"model": model, "messages": [*messages, last], **({"tools": tools} if tools else {}), **chosen}


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_any_request_is_taken(random: Random) -> None:
    body = request_of(random)
    model = body["model"]
    request = decode_messages_request(json.dumps(body).encode())
    conversion = chat_request_from_messages(request, model=model, traits=traits_of(model))
    sent = decode_body(encode_chat_request(conversion.chat))
    refusal = problem_of_chat_request(sent, rules_of(model))
    assert refusal is None, f"{refusal}\n{json.dumps(body)}\n{json.dumps(sent)}"
