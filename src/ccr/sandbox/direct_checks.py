"""What the stand-in for the Anthropic API refuses: the basics that the real one checks. Pure.

It takes everything the published client sends directly: system messages, beta fields, server tools, cache
scopes.
"""

from __future__ import annotations

from typing import Any

from ccr.sandbox.blocks import check_pairs, check_thinking_block
from ccr.sandbox.check_parts import check_text
from ccr.sandbox.refusals import (
    Refusal,
    Refused,
    anthropic_refusal,
    refuse,
    require_list,
    require_object,
    require_string,
)
from ccr.sandbox.signatures import is_redacted_data


def problem_of_direct_request(body: dict[str, Any], *, is_count: bool = False) -> Refusal | None:
    """Return why the Anthropic API would refuse this request, or None."""
    try:
        require_string("model", body.get("model"))
        limit = body.get("max_tokens")
        if not is_count and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            refuse("max_tokens: Field required")
        _check_messages(body.get("messages"))
        _check_tools(body.get("tools"))
    except Refused as refused:
        return anthropic_refusal(400, "invalid_request_error", refused.refusal.sentence)
    return None


def _check_messages(value: object) -> None:
    messages = require_list("messages", value)
    spoken = []
    for index, item in enumerate(messages):
        message = require_object(f"messages.{index}", item)
        role = message.get("role")
        if role not in {"user", "assistant", "system"}:
            refuse(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        _check_content(f"messages.{index}.content", message.get("content"))
        if role != "system":
            spoken.append(message)
    if not spoken:
        refuse("messages: at least one message is required")
    check_pairs(spoken)


def _check_content(where: str, content: object) -> None:
    if isinstance(content, str):
        check_text(content)
        return
    for index, item in enumerate(require_list(where, content)):
        block = require_object(f"{where}.{index}", item)
        kind = require_string(f"{where}.{index}.type", block.get("type"))
        if kind == "text":
            check_text(require_string(f"{where}.{index}.text", block.get("text")))
        elif kind == "thinking":
            check_thinking_block(f"{where}.{index}", block, None)
        elif kind == "redacted_thinking":
            if not is_redacted_data(require_string(f"{where}.{index}.data", block.get("data"))):
                refuse(f"{where}.{index}: Invalid `data` in `redacted_thinking` block")
        elif kind == "tool_use":
            require_string(f"{where}.{index}.id", block.get("id"))
            require_string(f"{where}.{index}.name", block.get("name"))
            require_object(f"{where}.{index}.input", block.get("input"))
        elif kind == "tool_result":
            require_string(f"{where}.{index}.tool_use_id", block.get("tool_use_id"))


def _check_tools(tools: object) -> None:
    for index, item in enumerate(require_list("tools", tools) if tools is not None else ()):
        require_string(f"tools.{index}.name", require_object(f"tools.{index}", item).get("name"))
