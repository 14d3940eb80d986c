"""Function tools and ``tool_choice`` from Anthropic's, with the notes the model needs about what had to go.

Server tools run at Anthropic; no Databricks chat endpoint knows them (databricks.md §1), so that they are
dropped, together with a choice that names them, and the model is told. Schemas are passed on as bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.anthropic import MessagesRequest, Tool, checked_text
from ccr.protocol.chat_content import cache_mark
from ccr.protocol.request_rules import RequestRule, Rules
from ccr.protocol.tool_memory import Memory

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatFunction, ChatTool, NamedToolChoice
    from ccr.protocol.traits import ModelTraits

PLACEHOLDER_TOOL = "DeferredToolPlaceholder"
"""A tool the client sends only to keep Anthropic's tool search on (observed, client 2.1.330)."""
ONE_TOOL_AT_A_TIME = (
    "Call at most one tool in each of your messages, and wait for its result before the next."
)
_PLAIN_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_USUAL_START = re.compile(rb'\s*\{\s*(?:"\$schema"\s*:\s*"[^"\\]*"\s*,\s*)?"type"\s*:\s*"')
_SCHEMA = msgspec.json.Decoder(dict[str, Raw])


class ToolSet(NamedTuple):
    """The tools of a request: what is sent, the names of dropped ones, and notes for the system message."""

    tools: list[ChatTool]
    names: frozenset[str]
    dropped: frozenset[str]
    notes: list[str]


_SETS_SEEN: Memory[tuple[list[Tool], ModelTraits], tuple[ToolSet, Rules]] = Memory()


def tools_from_request(request: MessagesRequest, traits: ModelTraits, rules: Rules) -> ToolSet:
    """Return the function tools of a request. Raises RequestError on a schema that is no object."""
    tools = request.tools
    if not tools:
        return ToolSet([], frozenset(), frozenset(), [])
    seen = _SETS_SEEN.get((tools, traits))
    if seen is None:
        own_rules = Rules()
        seen = (tool_set_from_tools(tools, traits, own_rules), own_rules)
        _SETS_SEEN.put((tools, traits), seen)
    tool_set, applied = seen
    rules.add_all(applied)
    return tool_set._replace(tools=[tool.copy() for tool in tool_set.tools])


def tool_set_from_tools(listed: list[Tool], traits: ModelTraits, rules: Rules) -> ToolSet:
    """Return the function tools of a list. Raises RequestError on a schema that is no object."""
    tools: dict[str, ChatTool] = {}
    dropped: list[str] = []
    server_tools: list[str] = []
    for index, tool in enumerate(listed):
        if tool.is_server_tool:
            rules.add(RequestRule.SERVER_TOOLS_DROPPED)
            server_tools.append(tool.name or tool.type or "")
        elif tool.name == PLACEHOLDER_TOOL:
            rules.add(RequestRule.PLACEHOLDER_TOOL_DROPPED)
            dropped.append(tool.name)
        elif tool.name in tools:
            rules.add(RequestRule.DUPLICATE_TOOL_DROPPED)
        else:
            tools[tool.name] = _chat_tool(tool, index, traits, rules)
    notes = [note_on_server_tools(server_tools)] if server_tools else []
    return ToolSet(list(tools.values()), frozenset(tools), frozenset(dropped + server_tools), notes)


def tool_choice_from_request(
    request: MessagesRequest, tool_set: ToolSet, *, is_thinking: bool, rules: Rules
) -> tuple[str | NamedToolChoice | None, list[str]]:
    """Return ``tool_choice`` (None: not sent) and notes for the system message.

    Raises RequestError when a tool is forced that the request does not define.
    """
    choice = request.tool_choice
    if choice is None:
        return None, []
    if not tool_set.tools or (choice.type == "tool" and choice.name in tool_set.dropped):
        rules.add(RequestRule.TOOL_CHOICE_DROPPED)
        return None, []
    if choice.type == "tool" and choice.name not in tool_set.names:
        raise RequestError(f"tool_choice.name: tool {choice.name!r} is not among the tools of the request")
    notes = []
    if choice.disable_parallel_tool_use and choice.type != "none":
        rules.add(RequestRule.PARALLEL_TOOL_USE_AS_INSTRUCTION)
        notes.append(ONE_TOOL_AT_A_TIME)
    if choice.type in ("any", "tool") and is_thinking:
        rules.add(RequestRule.FORCED_TOOL_CHOICE_AS_AUTO)
        return "auto", notes
    if choice.type == "tool" and choice.name:
        return {"type": "function", "function": {"name": choice.name}}, notes
    return _PLAIN_CHOICES[choice.type], notes


def _chat_tool(tool: Tool, index: int, traits: ModelTraits, rules: Rules) -> ChatTool:
    if not tool.name:
        raise RequestError(f"tools.{index}.name: Field required")
    _note_dropped_fields(tool, rules)
    function: ChatFunction = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = _parameters(tool.input_schema, index, rules)
    chat_tool: ChatTool = {"type": "function", "function": function}
    mark = cache_mark(tool.cache_control, traits, rules)
    if mark is not None:
        chat_tool["cache_control"] = mark
    return chat_tool


def _note_dropped_fields(tool: Tool, rules: Rules) -> None:
    """Note the beta fields that Databricks answers with "Extra inputs are not permitted"."""
    if tool.strict:
        rules.add(RequestRule.TOOL_STRICT_DROPPED)
    if tool.defer_loading:
        rules.add(RequestRule.TOOL_DEFER_LOADING_DROPPED)
    if tool.input_examples:
        rules.add(RequestRule.TOOL_INPUT_EXAMPLES_DROPPED)
    if tool.eager_input_streaming is not None or tool.allowed_callers:
        rules.add(RequestRule.TOOL_OPTIONS_DROPPED)


def _parameters(schema: Raw, index: int, rules: Rules) -> Raw | dict[str, Raw]:
    """Return the schema as it is, or with the ``type`` the endpoint demands.

    Schemas as clients write them are told by their first bytes, without parsing them.
    """
    data = bytes(schema)
    if not data.isascii():
        checked_text(data)
    if _USUAL_START.match(data):
        return schema
    if data in (b"", b"null"):
        rules.add(RequestRule.TOOL_SCHEMA_TYPE_ADDED)
        return Raw(b'{"type":"object","properties":{}}')
    try:
        keys = _SCHEMA.decode(data)
    except msgspec.ValidationError:
        raise RequestError(f"tools.{index}.input_schema: Input should be a valid object") from None
    if bytes(keys.get("type", b"null")) != b"null":
        return schema
    rules.add(RequestRule.TOOL_SCHEMA_TYPE_ADDED)
    return {**keys, "type": Raw(b'"object"')}


def note_on_server_tools(names: list[str]) -> str:
    """Return what the model is told of tools that run elsewhere."""
    return (
        f"These tools are not available in this environment: {', '.join(names)}. Do not try to call them. "
        "Answer from what you know and from the conversation, and say plainly that you could not use them."
    )
