"""A request in neutral words, so that scripts need not know in which dialect it came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RequestView:
    """The facts scripts decide by.

    user_texts: every text of every user message, oldest first. results: the texts of the tool results at the
    end of the conversation (empty when the last word is not a tool's). schema: the JSON schema the answer
    must have. forced_tool: the only tool, when the request forces it.
    """

    dialect: str
    model: str
    is_stream: bool
    tools: tuple[str, ...]
    user_texts: tuple[str, ...]
    results: tuple[str, ...]
    max_tokens: int | None
    thinking: str
    display: str | None
    forced_tool: str | None
    schema: dict[str, Any] | None
    body: dict[str, Any]

    @property
    def is_side(self) -> bool:
        """Tell whether this is a small request beside the conversation: a title, a probe of one token."""
        if self.max_tokens == 1 or (self.schema is not None and len(self.tools) <= 1):
            return True
        return not self.tools and any("<session>" in text for text in self.user_texts)

    @property
    def thinks(self) -> bool:
        """Tell whether the request turns thinking on."""
        return self.thinking in {"enabled", "adaptive"}


def view_of_chat(body: dict[str, Any], model: str) -> RequestView:
    """Return the view of a chat completion request (already checked)."""
    messages: list[dict[str, Any]] = body["messages"]
    tools = tuple(tool["function"]["name"] for tool in body.get("tools", ()))
    choice = body.get("tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else None
    parameters = body["tools"][0]["function"].get("parameters") if forced and len(tools) == 1 else None
    thinking = body.get("thinking") or {}
    return RequestView(
        dialect="chat",
        model=model,
        is_stream=bool(body.get("stream")),
        tools=tools,
        user_texts=tuple(
            text for message in messages if message["role"] == "user" for text in texts_of(message["content"])
        ),
        results=_last_results(messages),
        max_tokens=body.get("max_tokens", body.get("max_completion_tokens")),
        thinking=thinking.get("type", "disabled"),
        display=thinking.get("display"),
        forced_tool=forced,
        schema=parameters,
        body=body,
    )


def view_of_messages(body: dict[str, Any]) -> RequestView:
    """Return the view of an Anthropic messages request (already checked)."""
    messages: list[dict[str, Any]] = body["messages"]
    tools = tuple(tool["name"] for tool in body.get("tools") or ())
    choice = body.get("tool_choice") or {}
    output_format = (body.get("output_config") or {}).get("format") or {}
    thinking = body.get("thinking") or {}
    last = next((message for message in reversed(messages) if message["role"] != "system"), {"content": ""})
    blocks = last["content"] if isinstance(last["content"], list) else []
    return RequestView(
        dialect="anthropic",
        model=body["model"],
        is_stream=bool(body.get("stream")),
        tools=tools,
        user_texts=tuple(
            text for message in messages if message["role"] == "user" for text in texts_of(message["content"])
        ),
        results=tuple(
            "\n".join(texts_of(block.get("content", "")))
            for block in blocks
            if block["type"] == "tool_result"
        ),
        max_tokens=body.get("max_tokens"),
        thinking=thinking.get("type", "disabled"),
        display=thinking.get("display"),
        forced_tool=choice.get("name") if choice.get("type") == "tool" else None,
        schema=output_format.get("schema"),
        body=body,
    )


def texts_of(content: object) -> list[str]:
    """Return the texts in a message's content, string or list of parts."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [part["text"] for part in content if part["type"] == "text"]


def instance_of(schema: dict[str, Any], answer: str) -> object:
    """Return the smallest value that fits a simple JSON schema, with ``answer`` in its strings."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: instance_of(properties.get(name, {}), answer) for name in schema.get("required", properties)
        }
    simple: dict[object, object] = {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return simple.get(kind, answer)


def text_of_instance(schema: dict[str, Any], answer: str) -> str:
    """Return ``instance_of`` as JSON text."""
    return json.dumps(instance_of(schema, answer), ensure_ascii=False)


def _last_results(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the tool results after the last assistant message, also when texts follow them."""
    found: list[str] = []
    for message in reversed(messages):
        if message["role"] == "assistant":
            break
        if message["role"] == "tool":
            found.append("\n".join(texts_of(message["content"])))
    return tuple(reversed(found))
