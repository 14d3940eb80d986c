"""Tool definitions and ``tool_choice`` as the native endpoint takes them.

Names, descriptions and schemas stay the client's bytes. The fields of Anthropic's tool betas are refused
there (databricks.md §7), and tools that run at Anthropic are not known (databricks.md §1): they are dropped
together with a choice that names them, and the model is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Raw

from ccr.protocol.anthropic import Tool, ToolChoice
from ccr.protocol.chat_tools import PLACEHOLDER_TOOL, tool_set_from_tools
from ccr.protocol.native_json import OPTIONAL_STRING, JsonObject, decoded, raw
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from ccr.protocol.native_blocks import BlockSanitizer
    from ccr.protocol.native_rules import NativeRules
    from ccr.protocol.traits import ModelTraits

CLIENT_TOOL_PREFIXES: Final = ("bash_", "text_editor_", "computer_", "memory_")
"""Types of tools that Anthropic defines and the client runs; those of other types run at Anthropic."""

_CUSTOM_KEYS: Final = frozenset({"name", "description", "input_schema", "cache_control", "type"})
_RULE_OF_FIELD: Final = {
    "strict": RequestRule.TOOL_STRICT_DROPPED,
    "defer_loading": RequestRule.TOOL_DEFER_LOADING_DROPPED,
    "input_examples": RequestRule.TOOL_INPUT_EXAMPLES_DROPPED,
    "eager_input_streaming": RequestRule.TOOL_OPTIONS_DROPPED,
    "allowed_callers": RequestRule.TOOL_OPTIONS_DROPPED,
}
_WITHOUT_TYPE: Final = frozenset({b"null", b'"custom"'})
_CHOICE: Final = msgspec.json.Decoder(ToolChoice | None)


class NativeTools(NamedTuple):
    """The tools of a request.

    tools: what is sent. dropped: names that may no longer be chosen. notes: what the model must know, for the
    system prompt.
    """

    tools: list[JsonObject]
    dropped: frozenset[str]
    notes: list[str]


def tools_from_json(
    tools: list[JsonObject] | None, traits: ModelTraits, sanitizer: BlockSanitizer, rules: NativeRules
) -> NativeTools:
    """Return the tools that may be sent. Raises RequestError on what is no tool."""
    kept: list[JsonObject] = []
    hosted: list[Tool] = []
    placeholders: list[str] = []
    for index, tool in enumerate(tools or ()):
        kind = _tool_type(tool, index)
        if kind is not None and not kind.startswith(CLIENT_TOOL_PREFIXES):
            hosted.append(Tool(name=_tool_name(tool, index) or kind, type=kind))
        elif kind is None and "defer_loading" in tool and _tool_name(tool, index) == PLACEHOLDER_TOOL:
            rules.add(RequestRule.PLACEHOLDER_TOOL_DROPPED)
            placeholders.append(PLACEHOLDER_TOOL)
        else:
            kept.append(_plain_tool(tool, sanitizer, rules, is_custom=kind is None))
    notes = _notes_on_hosted(hosted, traits, rules)
    dropped = frozenset([*placeholders, *(tool.name for tool in hosted)])
    return NativeTools(kept, dropped, notes)


def tool_choice_from_json(
    choice: Raw, tools: NativeTools, *, is_thinking: bool, rules: NativeRules
) -> Raw | None:
    """Return ``tool_choice``, None where none is sent.

    With thinking on, no tool can be forced (Anthropic's rule). Raises RequestError on what is no choice.
    """
    wanted = decoded(_CHOICE, choice, "tool_choice") if choice else None
    if wanted is None:
        return None
    if not tools.tools or (wanted.type == "tool" and wanted.name in tools.dropped):
        rules.add(RequestRule.TOOL_CHOICE_DROPPED)
        return None
    if is_thinking and wanted.type in ("any", "tool"):
        rules.add(RequestRule.FORCED_TOOL_CHOICE_AS_AUTO)
        auto: dict[str, object] = {"type": "auto"}
        if wanted.disable_parallel_tool_use is not None:
            auto["disable_parallel_tool_use"] = wanted.disable_parallel_tool_use
        return raw(auto)
    return choice


def _tool_type(tool: JsonObject, index: int) -> str | None:
    """Return the type of a tool that Anthropic defines, None for the client's own."""
    kind = tool.get("type")
    if kind is None or bytes(kind) in _WITHOUT_TYPE:
        return None
    name = decoded(OPTIONAL_STRING, kind, "tools", index, "type")
    return None if name == "custom" else name


def _tool_name(tool: JsonObject, index: int) -> str:
    name = tool.get("name")
    return "" if name is None else decoded(OPTIONAL_STRING, name, "tools", index, "name") or ""


def _plain_tool(
    tool: JsonObject, sanitizer: BlockSanitizer, rules: NativeRules, *, is_custom: bool
) -> JsonObject:
    """Return a tool without fields the endpoint refuses; Anthropic's own tools have fields of their own."""
    unwanted = tool.keys() - _CUSTOM_KEYS if is_custom else tool.keys() & _RULE_OF_FIELD.keys()
    if unwanted:
        for key in sorted(unwanted):
            rules.add(_RULE_OF_FIELD.get(key, RequestRule.TOOL_OPTIONS_DROPPED))
        tool = {key: value for key, value in tool.items() if key not in unwanted}
    return sanitizer.with_plain_cache_control(tool) if "cache_control" in tool else tool


def _notes_on_hosted(hosted: list[Tool], traits: ModelTraits, rules: NativeRules) -> list[str]:
    """Return the note on tools that are not there, in the words of the chat route."""
    if not hosted:
        return []
    return tool_set_from_tools(hosted, traits, rules).notes
