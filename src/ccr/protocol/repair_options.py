"""The repairs of a chat request's options, each a function: a request in, a request out.

Each returns the very object it was given when there is nothing to change, so that a caller sees whether a
repair applies. Requests of OpenAI clients hold Raw values, which are opened only where they have to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec
from msgspec import Raw

from ccr.protocol.chat_thinking import BUDGET_OF_EFFORT, DEFAULT_BUDGET_TOKENS, MIN_BUDGET_TOKENS
from ccr.protocol.repair_fields import opened_from

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest

ThinkingKind = Literal["enabled", "adaptive"]

LIMITS: Final = ("max_tokens", "max_completion_tokens")


def max_tokens_of(chat: ChatRequest) -> int | None:
    """Return the limit of the answer in tokens that the request names, None when it names none."""
    values = (_plain(chat.get(key)) for key in LIMITS)
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def with_max_tokens_at_most(chat: ChatRequest, limit: int) -> ChatRequest:
    """Return the request with no more than ``limit`` tokens asked for, a thinking budget below it.

    A limit that leaves no room for the smallest budget turns thinking off.
    """
    asked = max_tokens_of(chat)
    if asked is None or asked <= limit:
        return chat
    lowered = cast("ChatRequest", {**chat, **{key: limit for key in LIMITS if key in chat}})
    thinking = _thinking(chat)
    if thinking.get("type") != "enabled":
        return lowered
    if limit <= MIN_BUDGET_TOKENS:
        return without_thinking(lowered)
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int) and budget >= limit:
        lowered["thinking"] = cast("Any", {**thinking, "budget_tokens": limit - 1})
    return lowered


def thinking_kind_of(chat: ChatRequest) -> str | None:
    """Return ``enabled``, ``adaptive`` or what else turns thinking on in the request; None when it is off."""
    kind = _thinking(chat).get("type")
    return kind if isinstance(kind, str) and kind != "disabled" else None


def with_thinking_kind(chat: ChatRequest, kind: ThinkingKind) -> ChatRequest:
    """Return the request with thinking, when it is on, of this kind.

    Adaptive: the text of the thinking is asked for, as a budget would give it. Enabled: the budget follows
    the effort; thinking goes off where ``max_tokens`` or a tool loop without reasoning forbids a budget.
    """
    if thinking_kind_of(chat) in (None, kind):
        return chat
    if kind == "adaptive":
        return _with(chat, "thinking", {"type": "adaptive", "display": "summarized"})
    limit = max_tokens_of(chat)
    steps = _loop_steps(chat)
    has_no_room = limit is not None and limit <= MIN_BUDGET_TOKENS
    if has_no_room or not all(_has_reasoning(step) for step in (*steps[:1], *steps[-1:])):
        return without_thinking(chat)
    output_config = opened_from(chat.get("output_config"))
    effort = _plain(output_config.get("effort")) if isinstance(output_config, dict) else None
    budget = BUDGET_OF_EFFORT.get(str(effort), DEFAULT_BUDGET_TOKENS)
    if limit is not None:
        budget = min(budget, limit - 1)
    return _with(chat, "thinking", {"type": "enabled", "budget_tokens": budget})


def without_thinking(chat: ChatRequest) -> ChatRequest:
    """Return the request with thinking off and no reasoning in its history."""
    return without_reasoning(without_options(chat, ("thinking",)))


def without_thinking_history(chat: ChatRequest) -> ChatRequest:
    """Return the request without reasoning in its history.

    Inside a tool loop, thinking with a budget goes off too: there the endpoint wants the turn to begin with
    the reasoning that is gone (databricks.md §2).
    """
    is_refused_without = thinking_kind_of(chat) == "enabled" and bool(_loop_steps(chat))
    return without_thinking(chat) if is_refused_without else without_reasoning(chat)


def without_reasoning(chat: ChatRequest) -> ChatRequest:
    """Return the request without reasoning parts, and without messages that held nothing else."""
    messages = [_without_reasoning(message) for message in chat["messages"]]
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    return _with(chat, "messages", [message for message in messages if message is not None])


def without_options(chat: ChatRequest, keys: tuple[str, ...], *, beside: str | None = None) -> ChatRequest:
    """Return the request without these top-level keys; with ``beside``, only when it has that one."""
    if not any(key in chat for key in keys) or (beside is not None and beside not in chat):
        return chat
    return cast("ChatRequest", {key: value for key, value in chat.items() if key not in keys})


def without_effort(chat: ChatRequest) -> ChatRequest:
    """Return the request without ``output_config.effort`` and ``reasoning_effort``."""
    rest = without_options(chat, ("reasoning_effort",))
    output_config = opened_from(chat.get("output_config"))
    if not isinstance(output_config, dict) or "effort" not in output_config:
        return rest
    kept = {key: value for key, value in output_config.items() if key != "effort"}
    return _with(rest, "output_config", kept) if kept else without_options(rest, ("output_config",))


def with_auto_tool_choice(chat: ChatRequest, *, beside: str | None = None) -> ChatRequest:
    """Return the request with no tool forced; with ``beside``, only when it has that key."""
    choice = _plain(chat.get("tool_choice"))
    is_forced = isinstance(choice, dict) or choice in ("required", "any")
    if not is_forced or (beside is not None and beside not in chat):
        return chat
    return _with(chat, "tool_choice", "auto")


def _with(chat: ChatRequest, key: str, value: object) -> ChatRequest:
    return cast("ChatRequest", {**chat, key: value})


def _plain(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _thinking(chat: ChatRequest) -> dict[str, Any]:
    thinking = _plain(chat.get("thinking"))
    return thinking if isinstance(thinking, dict) else {}


def _loop_steps(chat: ChatRequest) -> list[ChatMessage]:
    """Return the assistant messages of the tool loop still going on: those since the user last spoke alone.

    A user message right behind the last results belongs to the loop.
    """
    messages = list(chat["messages"])
    while messages and messages[-1]["role"] == "user":
        messages.pop()
    steps: list[ChatMessage] = []
    while messages and messages[-1]["role"] == "tool":
        while messages and messages[-1]["role"] == "tool":
            messages.pop()
        while messages and messages[-1]["role"] == "assistant":
            steps.append(messages.pop())
    return steps


def _reasoning_in(content: object) -> list[bool]:
    parts = content if isinstance(content, list) else []
    return [isinstance(part, dict) and part.get("type") == "reasoning" for part in parts]


def _has_reasoning(message: ChatMessage) -> bool:
    return any(_reasoning_in(message.get("content"))[:1])


def _without_reasoning(message: ChatMessage) -> ChatMessage | None:
    content = message.get("content")
    marks = _reasoning_in(content)
    if not isinstance(content, list) or not any(marks):
        return message
    kept = [part for part, is_reasoning in zip(content, marks, strict=True) if not is_reasoning]
    if kept:
        return {**message, "content": kept}
    if not message.get("tool_calls"):
        return None
    return cast("ChatMessage", {key: value for key, value in message.items() if key != "content"})
