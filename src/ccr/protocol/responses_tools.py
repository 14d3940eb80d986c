"""The tools of a Responses request as functions, and which of them may or must be called.

Functions stay what they are. A ``custom`` tool, whose input is a text, is a function with one text as its
argument; the functions of a ``namespace`` have its name before theirs. `ToolNames` knows the way back. Tools
that run at OpenAI are dropped, together with a choice that names one, and the model is told.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from ccr.protocol.chat_content import has_value
from ccr.protocol.chat_tools import note_on_server_tools
from ccr.protocol.native_json import OBJECT, OBJECTS, OPTIONAL_STRING, STRING, JsonObject
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.responses_request import refuse, value_at
from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatFunction, ChatTool, NamedToolChoice
    from ccr.protocol.responses_request import Item, ResponsesRequest

INPUT: Final = "input"
"""The one argument of the function that stands for a custom tool."""
MAX_NAME_CHARS: Final = 64
"""What every chat endpoint takes for a function's name."""
_NO_PARAMETERS: Final = Raw(b'{"type":"object","properties":{}}')
_NOTHING: Final = Raw(b"null")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
_PLAIN: Final = frozenset({"auto", "none", "required"})
_CALLED: Final = ("function", "custom")


class Named(NamedTuple):
    """A tool as the client knows it: what kind it is, its name, and its namespace where it has one."""

    kind: str
    name: str
    namespace: str | None = None


class ToolNames:
    """Names of functions that stand for other tools of the client."""

    def __init__(self) -> None:
        self._by_function: dict[str, Named] = {}

    def put(self, tool: Named) -> str:
        """Remember a tool; return the name of its function."""
        function = function_name(tool.name, tool.namespace)
        if tool.kind == "custom" or tool.namespace is not None:
            self._by_function[function] = tool
        return function

    def of(self, function: str) -> Named:
        """Return the tool that a function stands for: itself, where it stands for no other."""
        return self._by_function.get(function) or Named("function", function)


class Tools(NamedTuple):
    """The functions of a request, the way back to the client's tools, and what the model must be told."""

    functions: list[ChatTool]
    names: ToolNames
    notes: list[str]
    dropped: frozenset[str]


def function_name(name: str, namespace: str | None) -> str:
    """Return the name of the function that stands for a tool of a namespace; too long ones are shortened."""
    if namespace is None:
        return name
    whole = f"{namespace}__{name}"
    if len(whole) <= MAX_NAME_CHARS:
        return whole
    return f"{whole[: MAX_NAME_CHARS - 9]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def tools_from_request(request: ResponsesRequest, rules: ResponsesRules) -> Tools:
    """Return the tools of a request. Raises RequestError on one that cannot be a function."""
    functions: dict[str, ChatTool] = {}
    names = ToolNames()
    dropped: dict[str, None] = {}
    for index, tool in enumerate(request.tools or ()):
        where = f"tools.{index}"
        kind = _kind_of(tool, where)
        made: list[tuple[str, ChatTool]] = []
        if kind in _CALLED:
            made.append(_function(tool, where, None, names, rules))
        elif kind == "namespace":
            rules.add(ResponsesRule.NAMESPACE_FLATTENED)
            space = value_at(STRING, tool.get("name", _NOTHING), f"{where}.name")
            listed = value_at(OBJECTS, tool.get("tools", _NOTHING), f"{where}.tools")
            for at, inner in enumerate(listed):
                made.append(_function(inner, f"{where}.tools.{at}", space, names, rules))
        else:
            rules.add(RequestRule.SERVER_TOOLS_DROPPED)
            dropped[kind] = None
        for name, function in made:
            if name in functions:
                rules.add(RequestRule.DUPLICATE_TOOL_DROPPED)
            functions.setdefault(name, function)
    notes = [note_on_server_tools(list(dropped))] if dropped else []
    return Tools(list(functions.values()), names, notes, frozenset(dropped))


def choice_from_request(
    request: ResponsesRequest, tools: Tools, rules: ResponsesRules
) -> tuple[str | NamedToolChoice | None, list[ChatTool]]:
    """Return ``tool_choice``, None for none, and the functions that may be called.

    Raises RequestError on a choice that is none, or of a tool that is not there.
    """
    choice, functions = request.tool_choice, tools.functions
    if choice is None:
        return None, functions
    if isinstance(choice, str):
        if choice not in _PLAIN:
            refuse("tool_choice", "Input should be 'none', 'auto', 'required' or an object")
        if choice == "required" and not functions:
            rules.add(RequestRule.TOOL_CHOICE_DROPPED)
        return (choice if functions else None), functions
    kind = choice.get("type")
    if not isinstance(kind, str):
        refuse("tool_choice.type", "Field required")
    if kind in _CALLED:
        name = _chosen(choice, tools, "tool_choice")
        return {"type": "function", "function": {"name": name}}, functions
    if kind == "allowed_tools":
        return _allowed(choice, tools, rules)
    rules.add(RequestRule.TOOL_CHOICE_DROPPED)
    return None, functions


def _allowed(choice: Item, tools: Tools, rules: ResponsesRules) -> tuple[str | None, list[ChatTool]]:
    """Return the mode of a choice among some tools, and these."""
    where = "tool_choice.tools"
    listed, mode = choice.get("tools"), choice.get("mode", "auto")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        refuse(where, "Input should be a list of tools")
    if mode not in ("auto", "required"):
        refuse("tool_choice.mode", "Input should be 'auto' or 'required'")
    rules.add(ResponsesRule.ALLOWED_TOOLS_FILTERED)
    named = {
        _chosen(each, tools, f"{where}.{index}")
        for index, each in enumerate(listed)
        if each.get("type") in _CALLED
    }
    functions = [function for function in tools.functions if function["function"]["name"] in named]
    return (mode if functions else None), functions


def _chosen(choice: Item, tools: Tools, where: str) -> str:
    """Return the name of the function that a choice means. Raises RequestError where there is none."""
    name, namespace = choice.get("name"), choice.get("namespace")
    if not isinstance(name, str):
        refuse(f"{where}.name", "Field required")
    function = function_name(name, namespace if isinstance(namespace, str) else None)
    if all(tool["function"]["name"] != function for tool in tools.functions):
        refuse(f"{where}.name", f"no tool `{name}` is in `tools`")
    return function


def _kind_of(tool: JsonObject, where: str) -> str:
    if "type" not in tool:
        refuse(f"{where}.type", "Field required")
    return value_at(STRING, tool["type"], f"{where}.type")


def _function(
    tool: JsonObject, where: str, namespace: str | None, names: ToolNames, rules: ResponsesRules
) -> tuple[str, ChatTool]:
    kind = _kind_of(tool, where)
    if kind not in _CALLED:
        refuse(f"{where}.type", "Input should be 'function' or 'custom'")
    if "name" not in tool:
        refuse(f"{where}.name", "Field required")
    name = value_at(STRING, tool["name"], f"{where}.name")
    if not _NAME.fullmatch(name):
        refuse(f"{where}.name", "String should match pattern '^[a-zA-Z0-9_-]+$'")
    if has_value(tool.get("defer_loading", _NOTHING)) and bytes(tool["defer_loading"]) == b"true":
        rules.add(RequestRule.TOOL_DEFER_LOADING_DROPPED)
    description = value_at(OPTIONAL_STRING, tool.get("description", _NOTHING), f"{where}.description") or ""
    function: Any = {"name": names.put(Named(kind, name, namespace))}
    if kind == "custom":
        rules.add(ResponsesRule.CUSTOM_TOOL_AS_FUNCTION)
        _add_text_input(function, tool, description, rules)
    else:
        _add_parameters(function, tool, description, where)
    return function["name"], {"type": "function", "function": function}


def _add_parameters(function: ChatFunction, tool: JsonObject, description: str, where: str) -> None:
    if description:
        function["description"] = description
    parameters = tool.get("parameters", _NOTHING)
    if has_value(parameters):
        value_at(OBJECT, parameters, f"{where}.parameters")
    function["parameters"] = parameters if has_value(parameters) else _NO_PARAMETERS
    if bytes(tool.get("strict", _NOTHING)) == b"true":
        function["strict"] = True  # type: ignore[typeddict-unknown-key] # OpenAI's models alone take it


def _add_text_input(function: Any, tool: JsonObject, description: str, rules: ResponsesRules) -> None:
    """Describe a custom tool: its input is one text; a grammar for it can only be told in words."""
    form = msgspec.json.decode(tool.get("format", _NOTHING))
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        rules.add(ResponsesRule.CUSTOM_TOOL_FORMAT_AS_TEXT)
        syntax = form.get("syntax", "")
        description += f"\n\n`{INPUT}` must be a text of this grammar ({syntax}):\n{form['definition']}"
    if description.strip():
        function["description"] = description.strip()
    function["parameters"] = msgspec.Raw(
        b'{"type":"object","properties":{"%b":{"type":"string"}},"required":["%b"]}'
        % (INPUT.encode(), INPUT.encode())
    )
