"""What the chat dialect refuses. Pure: a decoded body and the model's rules in, a ``Refusal`` or None out.

Where the evidence leaves a doubt, the check is stricter than the real service: what passes here passes there.
Source: reference notes databricks.md §2 and §4. Messages and their parts: check_messages.py, check_parts.py.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from ccr.sandbox.check_messages import check_messages
from ccr.sandbox.check_parts import check_breakpoints, check_cache_control
from ccr.sandbox.families import check_family
from ccr.sandbox.refusals import (
    Refusal,
    Refused,
    model_refusal,
    refuse,
    refuse_extra,
    refuse_tag,
    require_list,
    require_object,
    require_string,
)
from ccr.sandbox.tokens import prompt_tokens

if TYPE_CHECKING:
    from ccr.sandbox.models import ModelRules

OF_BOTH_ROUTES = frozenset(
    {"messages", "model", "max_tokens", "temperature", "top_p", "top_k", "stream", "tools", "tool_choice"}
    | {"thinking", "output_config"}
)
"""Keys of a request that the chat routes and the native routes take."""
TOP_LEVEL = OF_BOTH_ROUTES | {"max_completion_tokens", "stop", "n"}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
THINKING_FIELDS = {
    "enabled": frozenset({"type", "budget_tokens"}),
    "adaptive": frozenset({"type", "display"}),
    "disabled": frozenset({"type"}),
}
MIN_TOP_P_WITH_THINKING = 0.95
EFFORTS = ("low", "medium", "high", "xhigh", "max")


def decode_body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a request body; raises ``Refused`` for anything else, NaN included."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(model_refusal(f"Malformed request body: {type(error).__name__}")) from error
    if not isinstance(body, dict):
        refuse("Malformed request body: Input should be a valid dictionary")
    return body


def problem_of_chat_request(body: dict[str, Any], rules: ModelRules) -> Refusal | None:
    """Return why the endpoint refuses this chat completion request, or None when it takes it."""
    try:
        refuse_extra("", body, TOP_LEVEL if rules.family is None else TOP_LEVEL | {"reasoning_effort"})
        if rules.family is not None:
            check_family(body, rules.family)
        check_scalars(body, rules)
        tools = check_tools(body)
        thinking = check_thinking(body.get("thinking"), body, rules)
        check_output_config(body.get("output_config"), rules)
        _check_tool_choice(body, tools, thinking)
        check_messages(body.get("messages"), rules, thinking)
        check_breakpoints(body)
        check_context(body, rules)
    except Refused as refused:
        return refused.refusal
    return None


def check_scalars(body: dict[str, Any], rules: ModelRules, stop: str = "stop") -> None:
    """Refuse numbers, flags and stop sequences of the wrong type or size."""
    if "max_tokens" in body and "max_completion_tokens" in body:
        refuse("max_completion_tokens: cannot be given beside max_tokens")
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body:
            check_max_tokens(name, body[name], rules)
    for name, highest in (("temperature", 1.0), ("top_p", 1.0), ("top_k", math.inf)):
        if name in body:
            _check_sampling(name, body[name], highest, rules)
    if body.get("n", 1) != 1:
        refuse("n: Input should be 1")
    if not isinstance(body.get("stream", False), bool):
        refuse("stream: Input should be a valid boolean")
    if stop in body:
        sequences = (
            [body[stop]] if stop == "stop" and isinstance(body[stop], str) else require_list(stop, body[stop])
        )
        for index, sequence in enumerate(sequences):
            if not require_string(f"{stop}.{index}", sequence).strip():
                refuse("stop_sequences: each stop sequence must contain non-whitespace")


def check_max_tokens(name: str, value: object, rules: ModelRules) -> None:
    """Refuse a limit that is no whole number of at least 1, or more than the model can answer."""
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(f"{name}: Input should be a valid integer")
    if value < 1:
        refuse(f"{name}: Input should be greater than or equal to 1")
    if value > rules.max_output:
        refuse(
            f"max_tokens: {value} > {rules.max_output}, which is the maximum allowed number of output tokens "
            f"for {rules.name}"
        )


def check_tools(body: dict[str, Any]) -> frozenset[str]:
    """Return the names of the tools; refuse what is no function with an object schema."""
    if "tools" not in body:
        return frozenset()
    tools = require_list("tools", body["tools"])
    if not tools:
        refuse("tools: List should have at least 1 item after validation, not 0")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        where = f"tools.{index}"
        require_object(where, tool)
        refuse_extra(where, tool, frozenset({"type", "function", "cache_control"}))
        if tool.get("type") != "function":
            refuse(f"{where}.type: Input should be 'function'")
        function = require_object(f"{where}.function", tool.get("function"))
        refuse_extra(f"{where}.custom", function, frozenset({"name", "description", "parameters"}))
        check_cache_control(where, tool)
        names.add(check_tool_definition(f"{where}.custom", function, "parameters", names))
    return frozenset(names)


def check_tool_definition(where: str, tool: dict[str, Any], schema_key: str, names: set[str]) -> str:
    """Return a tool's name; refuse a wrong or repeated one, a description that is no text, a wrong schema."""
    name = require_string(f"{where}.name", tool.get("name"))
    if not TOOL_NAME.fullmatch(name):
        refuse(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if name in names:
        refuse("tools: Tool names must be unique.")
    if "description" in tool:
        require_string(f"{where}.description", tool["description"])
    if schema_key in tool:
        schema = require_object(f"{where}.input_schema", tool[schema_key])
        if schema.get("type") != "object":
            refuse(f"{where}.input_schema.type: Input should be 'object'")
    return name


def check_thinking(thinking: object, body: dict[str, Any], rules: ModelRules) -> str:
    """Return the kind of thinking the model will do; refuse what it does not take."""
    if thinking is None:
        return "adaptive" if rules.always_thinks else "disabled"
    thinking = require_object("thinking", thinking)
    kind = thinking.get("type")
    if kind not in THINKING_FIELDS:
        refuse_tag("thinking", kind, frozenset(THINKING_FIELDS))
    if kind not in rules.thinking:
        refuse(f'"thinking.type.{kind}" is not supported for this model.')
    refuse_extra(f"thinking.{kind}", thinking, THINKING_FIELDS[kind])
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), body)
    if thinking.get("display", "omitted") not in {"summarized", "omitted"}:
        refuse("thinking.adaptive.display: Input should be 'summarized' or 'omitted'")
    if kind != "disabled":
        if body.get("temperature", 1) != 1:
            refuse("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.")
        if body.get("top_p", 1) < MIN_TOP_P_WITH_THINKING:
            refuse("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
        if "top_k" in body:
            refuse("`top_k` must be unset when thinking is enabled or in adaptive mode.")
    return str(kind)


def check_output_config(config: object, rules: ModelRules) -> None:
    """Refuse an effort the model does not have; ``format`` is not part of the served API."""
    if config is None:
        return
    config = require_object("output_config", config)
    if not rules.effort:
        refuse("output_config: Extra inputs are not permitted")
    refuse_extra("output_config", config, frozenset({"effort"}))
    if config.get("effort") not in EFFORTS:
        refuse(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")


def check_context(body: dict[str, Any], rules: ModelRules) -> None:
    """Refuse a prompt that does not fit the context, alone or with what it may answer."""
    tokens = prompt_tokens(body)
    if tokens > rules.context:
        refuse(f"prompt is too long: {tokens} tokens > {rules.context} maximum")
    asked = body.get("max_tokens", body.get("max_completion_tokens", 0))
    if tokens + asked > rules.context:
        refuse(f"input length and `max_tokens` exceed context limit: {tokens} + {asked} > {rules.context}")


def _check_budget(budget: object, body: dict[str, Any]) -> None:
    if isinstance(budget, bool) or not isinstance(budget, int):
        refuse("thinking.enabled.budget_tokens: Field required")
    if budget < 1024:
        refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    # without max_tokens the service answers at most 1,000 tokens, fewer than the smallest budget
    if budget >= body.get("max_tokens", body.get("max_completion_tokens", 1000)):
        refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_sampling(name: str, value: object, highest: float, rules: ModelRules) -> None:
    if not rules.sampling:
        refuse(f"`{name}` is not supported for this model.")
    kinds = (int,) if name == "top_k" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        refuse(f"{name}: Input should be a valid number")
    if not 0 <= value <= highest:
        refuse(f"{name}: range: 0..{highest}")


def _check_tool_choice(body: dict[str, Any], tools: frozenset[str], thinking: str) -> None:
    if "tool_choice" not in body:
        return
    choice = body["tool_choice"]
    if not tools:
        refuse("tool_choice: cannot be given without tools")
    if isinstance(choice, dict):
        refuse_extra("tool_choice", choice, frozenset({"type", "function"}))
        function = require_object("tool_choice.function", choice.get("function"))
        refuse_extra("tool_choice.function", function, frozenset({"name"}))
        if choice.get("type") != "function" or function.get("name") not in tools:
            refuse(f"tool_choice: tool '{function.get('name')}' not found in provided tools")
    elif choice not in {"auto", "none", "required"}:
        refuse("tool_choice: Input should be 'auto', 'none', 'required' or a function")
    check_forced(isinstance(choice, dict) or choice == "required", thinking)


def check_forced(is_forced: bool, thinking: str) -> None:
    """Refuse a tool choice that forces a tool while thinking is on."""
    if is_forced and thinking != "disabled":
        refuse("Thinking may not be enabled when tool_choice forces tool use.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
