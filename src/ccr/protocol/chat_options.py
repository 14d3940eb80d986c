"""Parameters of a chat request from those of an Anthropic request, apart from thinking and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Raw

from ccr.protocol.anthropic import ExtendedMessagesRequest, MessagesRequest, OutputFormat, checked_text
from ccr.protocol.chat_content import has_value, is_blank
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest, ChatTool
    from ccr.protocol.traits import ModelTraits

DEFAULT_MAX_TOKENS = 32_000
"""Sent for Claude when the client names no limit: the endpoint's own default of 1,000 cuts answers short."""
JSON_TOOL = "json_response"
_MIN_TOP_P_WITH_THINKING = 0.95
_SCHEMA_TYPE = msgspec.json.Decoder(dict[str, Raw])

_NOT_SENT = {
    "metadata": RequestRule.METADATA_DROPPED,
    "context_management": RequestRule.CONTEXT_MANAGEMENT_DROPPED,
    "container": RequestRule.CONTAINER_DROPPED,
    "mcp_servers": RequestRule.MCP_SERVERS_DROPPED,
    "service_tier": RequestRule.SERVICE_TIER_DROPPED,
    "cache_control": RequestRule.REQUEST_CACHE_CONTROL_DROPPED,
}
"""Parameters no chat endpoint of Databricks takes (it answers 400 to every key it does not know)."""


def note_dropped_parameters(request: MessagesRequest, rules: Rules) -> None:
    """Note each parameter that is not sent at all."""
    for field, rule in _NOT_SENT.items():
        if has_value(getattr(request, field)):
            rules.add(rule)
    if isinstance(request, ExtendedMessagesRequest):
        rules.add(RequestRule.UNKNOWN_FIELDS_DROPPED)


def max_tokens_from_request(request: MessagesRequest, traits: ModelTraits, rules: Rules) -> int | None:
    """Return the limit to send: the client's, never above what the model can give or the person allows."""
    limit, cap = traits.max_output_tokens, traits.max_tokens_cap
    wanted = request.max_tokens
    if wanted is None:
        if traits.family != "claude":
            return None
        rules.add(RequestRule.MAX_TOKENS_FILLED)
        return min(tokens for tokens in (DEFAULT_MAX_TOKENS, limit, cap) if tokens is not None)
    if limit is not None and wanted > limit:
        rules.add(RequestRule.MAX_TOKENS_CLAMPED)
        wanted = limit
    if cap is not None and wanted > cap:
        rules.add(RequestRule.MAX_TOKENS_CAPPED)
        wanted = cap
    return wanted


def add_sampling(
    chat: ChatRequest, request: MessagesRequest, traits: ModelTraits, *, is_thinking: bool, rules: Rules
) -> None:
    """Add temperature, top_p, top_k and stop to a chat request that is being built.

    With thinking on, only a temperature of 1 and a top_p of at least 0.95 are allowed (Anthropic's rule).
    """
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    if not traits.takes_sampling:
        temperature = top_p = top_k = None
    elif is_thinking:
        temperature = temperature if temperature == 1 else None
        top_p = top_p if top_p is not None and _MIN_TOP_P_WITH_THINKING <= top_p <= 1 else None
        top_k = None
    if (temperature, top_p, top_k) != (request.temperature, request.top_p, request.top_k):
        rules.add(RequestRule.SAMPLING_DROPPED)
    if temperature is not None:
        chat["temperature"] = temperature
    if top_p is not None:
        chat["top_p"] = top_p
    if top_k is not None:
        chat["top_k"] = top_k
    wanted = request.stop_sequences or []
    stop = [sequence for sequence in wanted if not is_blank(sequence)]
    if len(stop) < len(wanted):
        rules.add(RequestRule.EMPTY_STOP_SEQUENCE_DROPPED)
    if stop:
        chat["stop"] = stop


def effort_from_request(request: MessagesRequest, traits: ModelTraits, rules: Rules) -> str | None:
    """Return the effort, None where the model does not understand it (it may have ``reasoning_effort``)."""
    effort = request.output_config.effort if request.output_config else None
    if effort is None or traits.takes_effort:
        return effort
    if not traits.takes_reasoning_effort and (not request.thinking or "wish" not in traits.handled):
        rules.add(RequestRule.EFFORT_DROPPED)
    return None


class JsonFormat(NamedTuple):
    """How a wanted JSON answer is asked for: by a tool that must be called, or by an instruction."""

    tool: ChatTool | None
    note: str | None


def json_format_from_request(
    request: MessagesRequest, *, has_tools: bool, is_thinking: bool, rules: Rules
) -> JsonFormat:
    """Return how to ask for a wanted JSON format; Claude on Databricks takes no ``response_format``."""
    wanted = request.output_format
    if request.output_config is not None and request.output_config.format is not None:
        wanted = request.output_config.format
    if wanted is None:
        return JsonFormat(None, None)
    if wanted.type != "json_schema" or not wanted.schema:
        rules.add(RequestRule.OUTPUT_FORMAT_DROPPED)
        return JsonFormat(None, None)
    schema = checked_text(wanted.schema)
    if has_tools or is_thinking or not _describes_object(wanted):
        rules.add(RequestRule.JSON_FORMAT_AS_INSTRUCTION)
        return JsonFormat(None, json_instruction(schema))
    rules.add(RequestRule.JSON_FORMAT_AS_TOOL)
    tool: ChatTool = {
        "type": "function",
        "function": {
            "name": JSON_TOOL,
            "description": "Give your whole answer as the arguments of this call.",
            "parameters": wanted.schema,
        },
    }
    return JsonFormat(tool, None)


def _describes_object(wanted: OutputFormat) -> bool:
    try:
        return bytes(_SCHEMA_TYPE.decode(wanted.schema).get("type", b"")) == b'"object"'
    except msgspec.ValidationError:
        return False


def json_instruction(schema: str) -> str:
    """Return what asks for an answer of a JSON Schema in words."""
    return (
        "Your final answer must be one JSON value that satisfies the JSON Schema below, and nothing else: "
        f"no introduction, no code fence.\n{schema}"
    )
