"""The repairs of a request's options, each a function: a request in, a request out.

The options have the same names in the chat format and in the Messages API's own; what must be known of the
messages is asked of a `History`, the chat format's unless another is given (native_repairs.py has it).
Each returns the very object it was given when there is nothing to change, so that a caller sees whether a
repair applies. Requests of OpenAI clients hold Raw values, which are opened only where they have to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Raw

from ccr.protocol.chat_thinking import (
    BUDGET_OF_EFFORT,
    DEFAULT_BUDGET_TOKENS,
    MIN_BUDGET_TOKENS,
    loop_start,
)
from ccr.protocol.repair_fields import opened_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.openai import ChatMessage, ChatRequest

ThinkingKind = Literal["enabled", "adaptive"]

LIMITS: Final = ("max_tokens", "max_completion_tokens")

_Request = TypeVar("_Request")
"""A request in any format: a JSON object."""


class History(NamedTuple):
    """What repairs ask of a request's messages, in one format.

    without_reasoning: the request without any, the same object when it has none. has_loop: a tool loop is
    going on. allows_budget: that loop, if there is one, has the reasoning that thinking with a budget needs.
    """

    without_reasoning: Callable[[Any], Any]
    has_loop: Callable[[Any], bool]
    allows_budget: Callable[[Any], bool]


def max_tokens_of(request: object) -> int | None:
    """Return the limit of the answer in tokens that the request names, None when it names none."""
    values = (_plain(_keys(request).get(key)) for key in LIMITS)
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def with_max_tokens_at_most(request: _Request, limit: int, history: History | None = None) -> _Request:
    """Return the request with no more than ``limit`` tokens asked for, a thinking budget below it.

    A limit that leaves no room for the smallest budget turns thinking off.
    """
    asked = max_tokens_of(request)
    if asked is None or asked <= limit:
        return request
    keys = _keys(request)
    lowered: Any = {**keys, **{key: limit for key in LIMITS if key in keys}}
    thinking = _thinking(request)
    if thinking.get("type") == "enabled":
        if limit <= MIN_BUDGET_TOKENS:
            lowered = without_thinking(lowered, history)
        else:
            budget = thinking.get("budget_tokens")
            if isinstance(budget, int) and budget >= limit:
                lowered["thinking"] = {**thinking, "budget_tokens": limit - 1}
    return cast("_Request", lowered)


def thinking_kind_of(request: object) -> str | None:
    """Return ``enabled``, ``adaptive`` or what else turns thinking on in the request; None when it is off."""
    kind = _thinking(request).get("type")
    return kind if isinstance(kind, str) and kind != "disabled" else None


def with_thinking_kind(request: _Request, kind: ThinkingKind, history: History | None = None) -> _Request:
    """Return the request with thinking, when it is on, of this kind.

    Adaptive: the text of the thinking is asked for, as a budget would give it. Enabled: the budget follows
    the effort; thinking goes off where ``max_tokens`` or a tool loop without reasoning forbids a budget.
    """
    if thinking_kind_of(request) in (None, kind):
        return request
    if kind == "adaptive":
        return _with(request, "thinking", {"type": "adaptive", "display": "summarized"})
    limit = max_tokens_of(request)
    has_no_room = limit is not None and limit <= MIN_BUDGET_TOKENS
    if has_no_room or not (history or CHAT_HISTORY).allows_budget(request):
        return without_thinking(request, history)
    output_config = opened_from(_keys(request).get("output_config"))
    effort = _plain(output_config.get("effort")) if isinstance(output_config, dict) else None
    budget = BUDGET_OF_EFFORT.get(str(effort), DEFAULT_BUDGET_TOKENS)
    if limit is not None:
        budget = min(budget, limit - 1)
    return _with(request, "thinking", {"type": "enabled", "budget_tokens": budget})


def without_thinking(request: _Request, history: History | None = None) -> _Request:
    """Return the request with thinking off and no reasoning in its history."""
    off: _Request = (history or CHAT_HISTORY).without_reasoning(without_options(request, ("thinking",)))
    return off


def without_thinking_history(request: _Request, history: History | None = None) -> _Request:
    """Return the request without reasoning in its history.

    Inside a tool loop, thinking with a budget goes off too: there the endpoint wants the turn to begin with
    the reasoning that is gone (databricks.md §2).
    """
    history = history or CHAT_HISTORY
    if thinking_kind_of(request) == "enabled" and history.has_loop(request):
        return without_thinking(request, history)
    rest: _Request = history.without_reasoning(request)
    return rest


def without_reasoning(chat: ChatRequest) -> ChatRequest:
    """Return the request without reasoning parts, and without messages that held nothing else."""
    messages = [_without_reasoning(message) for message in chat["messages"]]
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    return _with(chat, "messages", [message for message in messages if message is not None])


def without_options(request: _Request, keys: tuple[str, ...], *, beside: str | None = None) -> _Request:
    """Return the request without these top-level keys; with ``beside``, only when it has that one."""
    given = _keys(request)
    if not any(key in given for key in keys) or (beside is not None and beside not in given):
        return request
    return cast("_Request", {key: value for key, value in given.items() if key not in keys})


def without_effort(request: _Request) -> _Request:
    """Return the request without ``output_config.effort`` and ``reasoning_effort``."""
    rest = without_options(request, ("reasoning_effort",))
    output_config = opened_from(_keys(request).get("output_config"))
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


def _keys(request: object) -> dict[str, Any]:
    return cast("dict[str, Any]", request)


def _with(request: _Request, key: str, value: object) -> _Request:
    return cast("_Request", {**_keys(request), key: value})


def _plain(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _thinking(request: object) -> dict[str, Any]:
    thinking = _plain(_keys(request).get("thinking"))
    return thinking if isinstance(thinking, dict) else {}


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


def _allows_budget(chat: ChatRequest) -> bool:
    start = loop_start(chat["messages"])
    return start is None or _has_reasoning(chat["messages"][start])


def _has_loop(chat: ChatRequest) -> bool:
    return loop_start(chat["messages"]) is not None


CHAT_HISTORY: Final = History(without_reasoning, _has_loop, _allows_budget)
