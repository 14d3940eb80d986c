"""An OpenAI chat request from a request of the Responses API: what `/v1/chat/completions` would be sent.

Only what the request itself says decides here; what the chosen model takes of it is decided for each route
(responses_for_model.py). Each deviation from a one-to-one translation is a named rule. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from msgspec import Raw

from ccr.protocol.native_json import OPTIONAL_STRING
from ccr.protocol.responses_input import messages_from_items
from ccr.protocol.responses_request import (
    FOR_THE_PROVIDER,
    ResponsesRequest,
    note_dropped_parameters,
    refuse,
    value_at,
)
from ccr.protocol.responses_rules import ResponsesRules
from ccr.protocol.responses_tools import ToolNames, choice_from_request, tools_from_request

if TYPE_CHECKING:
    from ccr.protocol.native_json import JsonObject
    from ccr.protocol.openai import ChatMessage, ChatRequest

_NOTHING = Raw(b"null")


class ChatFromResponses(NamedTuple):
    """A chat request and what the way back must know.

    rules: names of the rules applied. names: of the client's tools. tool_ids: of all calls in the history.
    """

    chat: ChatRequest
    rules: tuple[str, ...]
    names: ToolNames
    tool_ids: frozenset[str]


def chat_from_responses(request: ResponsesRequest) -> ChatFromResponses:
    """Return the chat request for whatever model. Raises RequestError (400) that names the parameter."""
    rules = ResponsesRules()
    note_dropped_parameters(request, rules)
    tools = tools_from_request(request, rules)
    choice, functions = choice_from_request(request, tools, rules)
    history = messages_from_items(request.items, rules)
    chat: dict[str, Any] = {
        "model": request.model,
        "messages": _with_system(request.instructions, tools.notes, history),
    }
    if functions:
        chat["tools"] = functions
    if choice is not None:
        chat["tool_choice"] = choice
    if functions and request.parallel_tool_calls is not None:
        chat["parallel_tool_calls"] = request.parallel_tool_calls
    values = {
        "max_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.effort,
        "verbosity": request.text.verbosity if request.text is not None else None,
        "response_format": _response_format(request),
        "stream": request.stream or None,
    }
    chat |= {name: value for name, value in values.items() if value is not None}
    for name in FOR_THE_PROVIDER:
        value = value_at(OPTIONAL_STRING, request.given.get(name, _NOTHING), name)
        if value is not None and (name, value) != ("service_tier", "auto"):
            chat[name] = value
    ids = frozenset(call["id"] for message in history for call in message.get("tool_calls", ()))
    return ChatFromResponses(cast("ChatRequest", chat), rules.names(), tools.names, ids)


def _with_system(instructions: str | None, notes: list[str], history: list[ChatMessage]) -> list[ChatMessage]:
    """Return the history with one system message at its start: instructions, notes, and what stands there."""
    count = next((at for at, message in enumerate(history) if message["role"] != "system"), len(history))
    texts = [instructions] if instructions else []
    for message in history[:count]:
        content = message.get("content") or []
        texts += [content] if isinstance(content, str) else [part["text"] for part in content]
    texts += notes
    if not texts:
        return history[count:]
    return [{"role": "system", "content": "\n\n".join(texts)}, *history[count:]]


def _response_format(request: ResponsesRequest) -> dict[str, Any] | None:
    """Return how an answer in JSON is asked for in a chat; None where it is to be a text."""
    form: JsonObject | None = request.text.format if request.text is not None else None
    if form is None:
        return None
    where = "text.format"
    kind = value_at(OPTIONAL_STRING, form.get("type", _NOTHING), f"{where}.type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        refuse(f"{where}.type", "Input should be 'text', 'json_object' or 'json_schema'")
    for name in ("name", "schema"):
        if bytes(form.get(name, _NOTHING)) == b"null":
            refuse(f"{where}.{name}", "Field required")
    described = {name: form[name] for name in ("name", "description", "schema", "strict") if name in form}
    described = {name: value for name, value in described.items() if bytes(value) != b"null"}
    return {"type": "json_schema", "json_schema": msgspec.Raw(msgspec.json.encode(described))}
