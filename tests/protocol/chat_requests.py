"""For the tests of the request direction: a body as a dict in, the chat request as read back from JSON."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.traits import ModelTraits

BUDGET = ModelTraits(thinking=frozenset({"budget"}), context_tokens=200_000, max_output_tokens=64_000)
ADAPTIVE = ModelTraits(
    thinking=frozenset({"adaptive"}), takes_effort=True, takes_sampling=False, max_output_tokens=128_000
)
BOTH = ModelTraits(thinking=frozenset({"adaptive", "budget"}), takes_effort=True, max_output_tokens=64_000)
PLAIN_CLAUDE = ModelTraits()
TEXT_ONLY = ModelTraits(thinking=frozenset({"adaptive"}), takes_images=False, takes_documents=False)
ALWAYS = ModelTraits(
    thinking=frozenset({"adaptive"}), always_thinks=True, takes_effort=True, takes_sampling=False
)


def of_vendor(
    family: str, *, takes_reasoning_effort: bool = False, takes_sampling: bool = True
) -> ModelTraits:
    return ModelTraits(
        family=family,
        takes_reasoning_effort=takes_reasoning_effort,
        takes_sampling=takes_sampling,
        takes_cache_control=False,
        takes_documents=False,
    )


GPT = of_vendor("gpt")
REASONING_GPT = of_vendor("gpt", takes_reasoning_effort=True, takes_sampling=False)
GPT_OSS = of_vendor("gpt-oss", takes_reasoning_effort=True)
LLAMA = of_vendor("llama")
GEMINI = of_vendor("gemini")

ALL_TRAITS = (
    BUDGET,
    ADAPTIVE,
    ALWAYS,
    BOTH,
    PLAIN_CLAUDE,
    TEXT_ONLY,
    GPT,
    REASONING_GPT,
    GPT_OSS,
    LLAMA,
    GEMINI,
)
EPHEMERAL = {"type": "ephemeral"}

Json = dict[str, Any]


class Converted(NamedTuple):
    """A conversion, with the chat request as the endpoint would read it."""

    chat: Json
    rules: tuple[str, ...]
    tool_ids: frozenset[str]
    json_tool: str | None

    @property
    def messages(self) -> list[Json]:
        return list(self.chat["messages"])


def converted(body: Json, traits: ModelTraits = BUDGET) -> Converted:
    return converted_bytes(json.dumps(body).encode(), traits)


def converted_bytes(data: bytes, traits: ModelTraits = BUDGET) -> Converted:
    result = chat_request_from_messages(decode_messages_request(data), model="the-endpoint", traits=traits)
    chat = json.loads(encode_chat_request(result.chat))
    return Converted(chat, result.rules, result.tool_ids, result.json_tool)


def with_messages(*messages: Json, **keys: object) -> Json:
    """Return a body with the messages and a limit, so that only the tested rules apply."""
    return {"model": "m", "max_tokens": 8000, "messages": list(messages), **keys}


def user(*blocks: Json | str) -> Json:
    return {"role": "user", "content": _content(blocks)}


def assistant(*blocks: Json | str) -> Json:
    return {"role": "assistant", "content": _content(blocks)}


def system(*blocks: Json | str) -> Json:
    return {"role": "system", "content": _content(blocks)}


def _content(blocks: tuple[Json | str, ...]) -> str | list[Json]:
    if len(blocks) == 1 and isinstance(blocks[0], str):
        return blocks[0]
    return [text(block) if isinstance(block, str) else block for block in blocks]


def text(value: str, **keys: object) -> Json:
    return {"type": "text", "text": value, **keys}


def tool_use(tool_id: str | None, name: str | None = "Bash", **keys: object) -> Json:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": {"command": "ls"}, **keys}


def tool_result(tool_id: str | None, content: object = "out", **keys: object) -> Json:
    return {"type": "tool_result", "tool_use_id": tool_id, "content": content, **keys}


def thinking(value: str = "hm", signature: str | None = "sig") -> Json:
    return {"type": "thinking", "thinking": value, "signature": signature}


def image(data: str = "iVBORw0KGgo=", **keys: object) -> Json:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source, **keys}


def document(**keys: object) -> Json:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    return {"type": "document", "source": source, **keys}


def custom_tool(name: str = "Bash", **keys: object) -> Json:
    return {"name": name, "description": "d", "input_schema": {"type": "object"}, **keys}
