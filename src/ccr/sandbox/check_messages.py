"""The order of a chat conversation: who may speak after whom, which results belong to which calls.

Indices in refusals are those of the conversation as the model reads it: without the system message, and with
consecutive user and tool messages as one turn.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ccr.sandbox.check_parts import check_content
from ccr.sandbox.refusals import (
    NO_PREFILL,
    refuse,
    refuse_extra,
    refuse_misplaced_thinking,
    refuse_orphan,
    refuse_unanswered,
    require_list,
    require_object,
    require_string,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.sandbox.models import ModelRules

FIELDS_OF_ROLE = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def check_messages(value: object, rules: ModelRules, thinking: str) -> None:
    """Refuse a conversation the model cannot read; ``thinking`` is the kind that is on."""
    messages = require_list("messages", value)
    for index, message in enumerate(messages):
        _check_message(f"messages.{index}", index, require_object(f"messages.{index}", message), rules.name)
    spoken = [message for message in messages if message["role"] != "system"]
    if not spoken:
        refuse("messages: at least one message is required")
    if spoken[0]["role"] == "assistant":
        refuse('messages: first message must use the "user" role')
    _check_results(spoken)
    _check_end(spoken[-1], rules)
    _check_thinking_turns(spoken, thinking)


def native_index(messages: list[dict[str, Any]], position: int) -> int:
    """Return the index of the turn that ``messages[position]`` is part of, turns of one side being one."""
    sides = [message["role"] == "assistant" for message in messages[: position + 1]]
    return sum(before != after for before, after in pairwise(sides))


def _check_message(where: str, index: int, message: dict[str, Any], model: str) -> None:
    role = message.get("role")
    if not isinstance(role, str) or role not in FIELDS_OF_ROLE:
        refuse(f"{where}.role: Input should be 'system', 'user', 'assistant' or 'tool'")
    refuse_extra(where, message, FIELDS_OF_ROLE[role])
    if role == "system" and index:
        refuse(f"{where}: a system message is only allowed as the first message")
    if role == "tool":
        require_string(f"{where}.tool_call_id", message.get("tool_call_id"))
    if "tool_calls" in message:
        _check_calls(f"{where}.tool_calls", message["tool_calls"])
    if message.get("content") is not None:
        check_content(where, role, message["content"], model)
    elif "tool_calls" not in message:
        refuse(f"{where}.content: Field required")


def _check_calls(where: str, value: object) -> None:
    calls = require_list(where, value)
    if not calls:
        refuse(f"{where}: List should have at least 1 item after validation, not 0")
    for index, item in enumerate(calls):
        place = f"{where}.{index}"
        call = require_object(place, item)
        refuse_extra(place, call, frozenset({"id", "type", "function"}))
        if call.get("type") != "function":
            refuse(f"{place}.type: Input should be 'function'")
        if not TOOL_ID.fullmatch(require_string(f"{place}.id", call.get("id"))):
            refuse(f"{place}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        function = require_object(f"{place}.function", call.get("function"))
        refuse_extra(f"{place}.function", function, frozenset({"name", "arguments"}))
        if not TOOL_NAME.fullmatch(require_string(f"{place}.function.name", function.get("name"))):
            refuse(f"{place}.function.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        _check_arguments(f"{place}.function.arguments", function.get("arguments"))


def _check_arguments(where: str, value: object) -> None:
    try:
        arguments = json.loads(require_string(where, value))
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        refuse(f"{where}: Input should be a JSON string that holds an object")


def _check_results(messages: list[dict[str, Any]]) -> None:
    """Refuse calls without exactly one result right after them, results without a call, ids used twice."""
    seen: set[str] = set()
    waiting: list[str] = []
    for position, message in enumerate(messages):
        turn = native_index(messages, position)
        if message["role"] == "tool":
            result = message["tool_call_id"]
            if result not in waiting:
                refuse_orphan(turn, result)
            waiting.remove(result)
            continue
        refuse_unanswered(turn - 1, waiting)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        for call_id in waiting:
            if call_id in seen:
                refuse("messages: `tool_use` ids must be unique")
            seen.add(call_id)
    refuse_unanswered(native_index(messages, len(messages) - 1), waiting)


def _check_end(last: dict[str, Any], rules: ModelRules) -> None:
    if last["role"] != "assistant":
        return
    if not rules.prefill:
        refuse(NO_PREFILL)
    content = last["content"]
    text = content if isinstance(content, str) else content[-1].get("text", "")
    if text != text.rstrip():
        refuse("messages: final assistant content cannot end with trailing whitespace")


def loop_start(sides: Sequence[str]) -> int | None:
    """Return where the tool loop still going on begins, None where there is none.

    sides: who speaks in each message: ``assistant``, or ``result`` and ``user`` on the other side. The loop
    is one turn of the assistant; a user's text beside results does not end it.
    """
    start = None
    position = len(sides) - 1
    while position > 0:
        other: set[str] = set()
        while position > 0 and sides[position] != "assistant":
            other.add(sides[position])
            position -= 1
        if "result" not in other:
            break
        while position >= 0 and sides[position] == "assistant":
            start = position
            position -= 1
    return start


def _check_thinking_turns(messages: list[dict[str, Any]], thinking: str) -> None:
    """Refuse thinking where it may not be, or none where it must be: see ``refuse_misplaced_thinking``."""
    start = loop_start(["result" if each["role"] == "tool" else each["role"] for each in messages])
    for position, message in enumerate(messages):
        if message["role"] == "assistant":
            refuse_misplaced_thinking(
                native_index(messages, position),
                _kinds_in(message),
                thinking,
                in_loop=start is not None and position >= start,
                begins_loop=position == start,
            )


def _kinds_in(message: dict[str, Any]) -> list[str]:
    """Return the kinds of blocks an assistant message holds, as the model reads them."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [{"type": "text"}]
    kinds = ["thinking" if part["type"] == "reasoning" else "text" for part in parts]
    return kinds + ["tool_use"] * len(message.get("tool_calls") or ())
