"""The ``thinking`` parameter for one model and one history, or ``reasoning_effort`` in its place.

Which kinds a model takes is a trait. A history decides too: with budgeted thinking on, the turn that is
still going on (its tool loop) has to begin with reasoning, and with thinking off it must hold none
(databricks.md §2, Anthropic's rule that a tool loop is one turn in one thinking mode).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.protocol.request_rules import RequestRule, Rules
from ccr.protocol.thinking_wish import wish_from_request

if TYPE_CHECKING:
    from ccr.protocol.anthropic import MessagesRequest, Thinking
    from ccr.protocol.openai import ChatMessage, ChatThinking
    from ccr.protocol.traits import ModelTraits

MIN_BUDGET_TOKENS = 1024
DEFAULT_BUDGET_TOKENS = 31_999
BUDGET_OF_EFFORT = {"low": 4_000, "medium": 10_000}
"""Thinking budget in tokens for an effort, on models that only take budgets; other efforts: the default."""
REASONING_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""``reasoning_effort`` for an effort: the three words that every model with that parameter takes."""
_DISPLAYS = ("summarized", "omitted")


def thinking_from_request(
    request: MessagesRequest,
    history: list[ChatMessage],
    max_tokens: int | None,
    traits: ModelTraits,
    rules: Rules,
) -> ChatThinking | None:
    """Return the parameter to send, None for none. ``max_tokens`` is the value that will be sent."""
    wanted = request.thinking
    if wanted is None or traits.takes_reasoning_effort:
        return None
    if wanted.type == "disabled":
        if traits.thinking == {"adaptive"}:
            rules.add(RequestRule.THINKING_DISABLED_DROPPED)
        return None
    if not traits.thinking and _is_handled(request, traits):
        return None
    if wanted.type not in ("enabled", "adaptive") or not traits.thinking:
        rules.add(RequestRule.THINKING_DROPPED)
        return None
    if wanted.type == "adaptive" and "adaptive" in traits.thinking:
        return _adaptive(wanted, rules)
    if "budget" not in traits.thinking:
        rules.add(RequestRule.THINKING_ENABLED_AS_ADAPTIVE)
        return _adaptive(wanted, rules)
    if not _loop_allows_budget(history):
        rules.add(RequestRule.THINKING_OFF_FOR_HISTORY)
        return None
    return _enabled(wanted, request, max_tokens, rules)


def reasoning_effort_from_request(request: MessagesRequest, traits: ModelTraits, rules: Rules) -> str | None:
    """Return ``reasoning_effort`` for a model that takes it, from the effort or else from the thinking.

    Such models cannot be told not to think: the least they all take is ``low``. Adaptive thinking without
    an effort is ``high``, which is what Anthropic documents as the effort when none is named.
    """
    if not traits.takes_reasoning_effort or _is_handled(request, traits):
        return None
    wanted = request.thinking
    if wanted is not None and wanted.type == "disabled":
        rules.add(RequestRule.THINKING_DISABLED_AS_LOW_EFFORT)
        return "low"
    if wanted is not None:
        known = wanted.type in ("enabled", "adaptive")
        rules.add(RequestRule.THINKING_AS_REASONING_EFFORT if known else RequestRule.THINKING_DROPPED)
        wanted = wanted if known else None
    effort = request.output_config.effort if request.output_config else None
    if effort in REASONING_EFFORTS:
        if REASONING_EFFORTS[effort] != effort:
            rules.add(RequestRule.EFFORT_REPLACED)
        return REASONING_EFFORTS[effort]
    if effort is not None:
        rules.add(RequestRule.EFFORT_DROPPED)
    return None if wanted is None else _effort_of_budget(wanted.budget_tokens)


def _is_handled(request: MessagesRequest, traits: ModelTraits) -> bool:
    """Whether a transformer writes what the request says of thinking."""
    return "wish" in traits.handled and wish_from_request(request) is not None


def _effort_of_budget(budget_tokens: int | None) -> str:
    """Return the first effort whose budget in `BUDGET_OF_EFFORT` is not below the wanted one."""
    if budget_tokens is None:
        return "high"
    return next((word for word, budget in BUDGET_OF_EFFORT.items() if budget_tokens <= budget), "high")


def history_without_thinking(history: list[ChatMessage], rules: Rules) -> list[ChatMessage]:
    """Return the history for a request without thinking: no reasoning in the turn that is still going on."""
    start = loop_start(history)
    if start is None:
        return history
    return history[:start] + [_without_reasoning(message, rules) for message in history[start:]]


def _adaptive(wanted: Thinking, rules: Rules) -> ChatThinking:
    thinking: ChatThinking = {"type": "adaptive"}
    if wanted.display is not None:
        thinking["display"] = wanted.display
        if wanted.display not in _DISPLAYS:
            rules.add(RequestRule.THINKING_DISPLAY_REPLACED)
            thinking["display"] = "summarized"
    return thinking


def _enabled(
    wanted: Thinking, request: MessagesRequest, max_tokens: int | None, rules: Rules
) -> ChatThinking | None:
    if wanted.display is not None:
        rules.add(RequestRule.THINKING_DISPLAY_DROPPED)
    if wanted.type == "adaptive":
        rules.add(RequestRule.THINKING_ADAPTIVE_AS_ENABLED)
        effort = request.output_config.effort if request.output_config else None
        budget = BUDGET_OF_EFFORT.get(effort or "", DEFAULT_BUDGET_TOKENS)
    else:
        budget = DEFAULT_BUDGET_TOKENS if wanted.budget_tokens is None else wanted.budget_tokens
    if max_tokens is not None and max_tokens <= MIN_BUDGET_TOKENS:
        rules.add(RequestRule.THINKING_OFF_FOR_MAX_TOKENS)
        return None
    clamped = max(budget, MIN_BUDGET_TOKENS)
    if max_tokens is not None:
        clamped = min(clamped, max_tokens - 1)
    if clamped != budget:
        rules.add(RequestRule.THINKING_BUDGET_CLAMPED)
    return {"type": "enabled", "budget_tokens": clamped}


def _loop_allows_budget(history: list[ChatMessage]) -> bool:
    """Whether the tool loop still going on began with reasoning; its later steps need none.

    The loop is one turn of the assistant, and a model that does not think between its calls gives reasoning
    in the first step only. Should an endpoint want it in the last step, too, its refusal is repaired.
    """
    start = loop_start(history)
    return start is None or _has_reasoning(history[start])


def loop_start(history: list[ChatMessage]) -> int | None:
    """Return the index of the assistant message that began the tool loop still going on; None without a loop.

    What the user's side says after results does not end it: the client puts its reminders there.
    """
    start = None
    index = len(history) - 1
    while index > 0:
        has_results = False
        while index > 0 and history[index]["role"] != "assistant":
            has_results = has_results or history[index]["role"] == "tool"
            index -= 1
        if not has_results:
            break
        while index >= 0 and history[index]["role"] == "assistant":
            start = index
            index -= 1
    return start


def _has_reasoning(message: ChatMessage) -> bool:
    content = message.get("content")
    return isinstance(content, list) and content[0]["type"] == "reasoning"


def _without_reasoning(message: ChatMessage, rules: Rules) -> ChatMessage:
    content = message.get("content")
    if not isinstance(content, list) or content[0]["type"] != "reasoning":
        return message
    rules.add(RequestRule.THINKING_HISTORY_DROPPED)
    kept = [part for part in content if part["type"] != "reasoning"]
    rest = message.copy()
    if kept:
        rest["content"] = kept
    else:
        del rest["content"]
    return rest
