"""What the native Anthropic route of the workspace refuses. Pure.

The route takes the Anthropic messages format, without what only Anthropic's own service has: server tools,
beta fields, ``role: "system"`` inside messages. Source: reference notes databricks.md §1, sanitize list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.sandbox.blocks import check_blocks, check_pairs
from ccr.sandbox.check_messages import loop_start
from ccr.sandbox.check_parts import check_breakpoints, check_cache_control, check_text
from ccr.sandbox.checks import (
    OF_BOTH_ROUTES,
    check_context,
    check_forced,
    check_max_tokens,
    check_output_config,
    check_scalars,
    check_thinking,
    check_tool_definition,
)
from ccr.sandbox.refusals import (
    NO_PREFILL,
    Refusal,
    Refused,
    coded,
    refuse,
    refuse_extra,
    refuse_misplaced_thinking,
    refuse_tag,
    require_list,
    require_object,
    require_string,
)
from ccr.sandbox.tomorrow import unknown_beta

if TYPE_CHECKING:
    from ccr.sandbox.models import ModelRules

TOP_LEVEL = OF_BOTH_ROUTES | {"system", "metadata", "stop_sequences"}
TTL = frozenset({"ttl"})
BETAS = frozenset(
    {
        "claude-code-20250219",
        "interleaved-thinking-2025-05-14",
        "context-1m-2025-08-07",
        "extended-cache-ttl-2025-04-11",
        "fine-grained-tool-streaming-2025-05-14",
        "effort-2025-11-24",
        "output-128k-2025-02-19",
        "prompt-caching-2024-07-31",
    }
)
CHOICE_FIELDS = {
    "auto": frozenset({"type", "disable_parallel_tool_use"}),
    "any": frozenset({"type", "disable_parallel_tool_use"}),
    "tool": frozenset({"type", "name", "disable_parallel_tool_use"}),
    "none": frozenset({"type"}),
}


def problem_of_native_headers(headers: dict[str, str]) -> Refusal | None:
    """Return why the route refuses these headers (names in lower case): no version, an unknown beta."""
    if "anthropic-version" not in headers:
        return coded(400, "BAD_REQUEST", "anthropic-version: header is required")
    betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",") if beta.strip()]
    for beta in betas:
        if beta not in BETAS:
            return unknown_beta(beta)
    return None


def problem_of_native_request(body: dict[str, Any], rules: ModelRules) -> Refusal | None:
    """Return why the route refuses this messages request, or None when it takes it."""
    try:
        refuse_extra("", body, TOP_LEVEL)
        if "max_tokens" not in body:
            refuse("max_tokens: Field required")
        check_max_tokens("max_tokens", body["max_tokens"], rules)
        check_scalars(body, rules, stop="stop_sequences")
        _check_metadata(body)
        _check_system(body)
        tools = _check_tools(body)
        thinking = check_thinking(body.get("thinking"), body, rules)
        check_output_config(body.get("output_config"), rules)
        _check_tool_choice(body, tools, thinking)
        _check_messages(body.get("messages"), rules, thinking)
        check_breakpoints(body)
        check_context(body, rules)
    except Refused as refused:
        return refused.refusal
    return None


def _check_metadata(body: dict[str, Any]) -> None:
    if "metadata" in body:
        refuse_extra("metadata", require_object("metadata", body["metadata"]), frozenset({"user_id"}))


def _check_system(body: dict[str, Any]) -> None:
    system = body.get("system")
    if system is None or isinstance(system, str):
        return
    for index, item in enumerate(require_list("system", system)):
        where = f"system.{index}"
        block = require_object(where, item)
        refuse_extra(where, block, frozenset({"type", "text", "cache_control"}))
        if block.get("type") != "text":
            refuse(f"{where}.type: Input should be 'text'")
        check_text(require_string(f"{where}.text", block.get("text")))
        check_cache_control(where, block, TTL)


def _check_tools(body: dict[str, Any]) -> frozenset[str]:
    names: set[str] = set()
    for index, item in enumerate(require_list("tools", body.get("tools", []))):
        where = f"tools.{index}"
        tool = require_object(where, item)
        if tool.get("type", "custom") != "custom":
            refuse_tag(where, tool["type"], frozenset({"custom"}))
        allowed = frozenset({"type", "name", "description", "input_schema", "cache_control"})
        refuse_extra(f"{where}.custom", tool, allowed)
        if "input_schema" not in tool:
            refuse(f"{where}.custom.input_schema: Field required")
        check_cache_control(where, tool, TTL)
        names.add(check_tool_definition(f"{where}.custom", tool, "input_schema", names))
    return frozenset(names)


def _check_tool_choice(body: dict[str, Any], tools: frozenset[str], thinking: str) -> None:
    if "tool_choice" not in body:
        return
    choice = require_object("tool_choice", body["tool_choice"])
    kind = choice.get("type")
    if not tools:
        refuse("tool_choice: cannot be given without tools")
    if kind not in CHOICE_FIELDS:
        refuse_tag("tool_choice", kind, frozenset(CHOICE_FIELDS))
    refuse_extra(f"tool_choice.{kind}", choice, CHOICE_FIELDS[kind])
    if kind == "tool" and choice.get("name") not in tools:
        refuse(f"tool_choice: tool '{choice.get('name')}' not found in provided tools")
    check_forced(kind in {"any", "tool"}, thinking)


def _check_messages(value: object, rules: ModelRules, thinking: str) -> None:
    messages = require_list("messages", value)
    if not messages:
        refuse("messages: at least one message is required")
    for index, item in enumerate(messages):
        message = require_object(f"messages.{index}", item)
        refuse_extra(f"messages.{index}", message, frozenset({"role", "content"}))
        role = message.get("role")
        if role == "system":
            refuse(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )
        if role not in {"user", "assistant"}:
            refuse(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        check_blocks(f"messages.{index}.content", role, message.get("content"), rules.name)
    if messages[0]["role"] == "assistant":
        refuse('messages: first message must use the "user" role')
    check_pairs(messages)
    if messages[-1]["role"] == "assistant" and not rules.prefill:
        refuse(NO_PREFILL)
    kinds = [_kinds_in(message["content"]) for message in messages]
    sides = [
        "result" if "tool_result" in kinds[index] else message["role"]
        for index, message in enumerate(messages)
    ]
    start = loop_start(sides)
    for index, side in enumerate(sides):
        if side == "assistant":
            refuse_misplaced_thinking(
                index,
                kinds[index],
                thinking,
                in_loop=start is not None and index >= start,
                begins_loop=index == start,
            )


def _kinds_in(content: str | list[dict[str, Any]]) -> list[str]:
    return ["text"] if isinstance(content, str) else [block["type"] for block in content]
