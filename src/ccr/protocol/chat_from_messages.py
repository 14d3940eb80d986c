"""An OpenAI chat request from an Anthropic Messages request, for a Databricks serving endpoint.

An allow-list: the endpoint answers 400 to every key it does not know, so that only keys named in
`openai.ChatRequest` are ever written. Each deviation from a one-to-one translation is a named rule
(request_rules.py). Pure: the same request, model and traits give the same bytes, which prompt caching
depends on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from ccr.errors import RequestError
from ccr.protocol.anthropic import Block, MessagesRequest
from ccr.protocol.chat_content import content_from_parts, parts_unless_blank, text_part
from ccr.protocol.chat_families import history_for_family, tools_for_family
from ccr.protocol.chat_history import history_from_messages
from ccr.protocol.chat_options import (
    JSON_TOOL,
    add_sampling,
    effort_from_request,
    json_format_from_request,
    max_tokens_from_request,
    note_dropped_parameters,
)
from ccr.protocol.chat_thinking import (
    history_without_thinking,
    reasoning_effort_from_request,
    thinking_from_request,
)
from ccr.protocol.chat_tools import tool_choice_from_request, tools_from_request
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest, ContentPart
    from ccr.protocol.traits import ModelTraits

BILLING_PREFIX = "x-anthropic-billing-header:"
"""Start of the client's attribution line: different per conversation, so it would spoil shared caching."""
MAX_CACHE_MARKS = 4
"""Anthropic's limit of cache breakpoints in one request."""


class Conversion(NamedTuple):
    """A chat request and what the way back must know.

    rules: names of the rules applied, each once. tool_ids: ids of all tool calls in the history, as the
    client knows them and as they were sent. json_tool: name of the forced tool whose arguments are the
    answer's text.
    """

    chat: ChatRequest
    rules: tuple[str, ...]
    tool_ids: frozenset[str]
    json_tool: str | None


def chat_request_from_messages(request: MessagesRequest, *, model: str, traits: ModelTraits) -> Conversion:
    """Return the chat request for ``model``.

    Raises RequestError (400) for what no chat request can express: a tool input or schema that is no object,
    a forced tool that does not exist, blocks nested too deeply.
    """
    try:
        return _conversion(request, model, traits)
    except RecursionError:
        raise RequestError("messages: nested too deeply") from None


def _conversion(request: MessagesRequest, model: str, traits: ModelTraits) -> Conversion:
    rules = Rules()
    note_dropped_parameters(request, rules)
    history, tool_ids = history_from_messages(request.messages, traits, rules)
    tool_set = tools_from_request(request, traits, rules)
    max_tokens = max_tokens_from_request(request, traits, rules)
    thinking = thinking_from_request(request, history, max_tokens, traits, rules)
    is_thinking = thinking is not None or traits.always_thinks
    if not is_thinking:
        history = history_without_thinking(history, rules)
    choice, choice_notes = tool_choice_from_request(request, tool_set, is_thinking=is_thinking, rules=rules)
    json_format = json_format_from_request(
        request, has_tools=bool(tool_set.tools), is_thinking=is_thinking, rules=rules
    )
    tools = tool_set.tools
    if json_format.tool is not None:
        tools = [json_format.tool]
        choice = {"type": "function", "function": {"name": JSON_TOOL}}
    notes = tool_set.notes + choice_notes + ([json_format.note] if json_format.note else [])
    system = _system_message(request.system, notes, traits, rules)

    chat: ChatRequest = {"model": model, "messages": system + history_for_family(history, traits, rules)}
    if tools:
        chat["tools"] = tools_for_family(tools, traits, rules)
    if choice is not None:
        chat["tool_choice"] = choice
    if max_tokens is not None:
        chat["max_tokens"] = max_tokens
    if thinking is not None:
        chat["thinking"] = thinking
    effort = effort_from_request(request, traits, rules)
    if effort is not None:
        chat["output_config"] = {"effort": effort}
    reasoning_effort = reasoning_effort_from_request(request, traits, rules)
    if reasoning_effort is not None:
        chat["reasoning_effort"] = reasoning_effort
    add_sampling(chat, request, traits, is_thinking=is_thinking, rules=rules)
    if request.stream:
        chat["stream"] = True
    _limit_cache_marks(chat, rules)
    return Conversion(chat, rules.names(), tool_ids, JSON_TOOL if json_format.tool is not None else None)


def _system_message(
    system: str | list[Block] | None, notes: list[str], traits: ModelTraits, rules: Rules
) -> list[ChatMessage]:
    """Return the one system message, or none; notes come last, behind every cache breakpoint."""
    blocks = [Block("text", text=system)] if isinstance(system, str) else system or []
    parts: list[ContentPart] = []
    for block in blocks:
        if block.text is not None and block.text.startswith(BILLING_PREFIX):
            rules.add(RequestRule.BILLING_HEADER_DROPPED)
            rest = block.text.partition("\n")[2]
            if rest and not rest.isspace():
                parts.append(text_part(rest))
        else:
            parts += parts_unless_blank(block, traits, rules)
    parts += [text_part(note) for note in notes]
    return [{"role": "system", "content": content_from_parts(parts, traits)}] if parts else []


def _limit_cache_marks(chat: ChatRequest, rules: Rules) -> None:
    """Take the first breakpoints off a request with too many; the last ones cover the longest prefixes.

    Messages are shared with later requests of their conversation: they are replaced, never changed.
    """
    marked_tools = [tool for tool in chat.get("tools", []) if "cache_control" in tool]
    marked_parts = [
        (index, number)
        for index, message in enumerate(chat["messages"])
        if isinstance(content := message.get("content"), list)
        for number, part in enumerate(content)
        if "cache_control" in part
    ]
    excess = len(marked_tools) + len(marked_parts) - MAX_CACHE_MARKS
    if excess <= 0:
        return
    rules.add(RequestRule.CACHE_CONTROL_OVER_LIMIT)
    for tool in marked_tools[:excess]:
        del tool["cache_control"]
    for index, number in marked_parts[: max(0, excess - len(marked_tools))]:
        message = chat["messages"][index]
        parts = cast("list[ContentPart]", message["content"]).copy()
        parts[number] = parts[number].copy()
        del parts[number]["cache_control"]
        chat["messages"][index] = {**message, "content": parts}
