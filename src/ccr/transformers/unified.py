"""The npm router's words for thinking, which plugins that were written for it look for. Pure.

    request.reasoning    {"effort", "enabled", "max_tokens"}    what the client asks
    message.thinking     {"content", "signature"}               what the model has thought

Both are offered to the plugins of a chain, beside what the conversion has written for the model, and taken
back when they come out as they went in: no provider is sent a key that nobody meant for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ccr.protocol.chat_thinking import REASONING_EFFORTS
from ccr.protocol.request_rules import RequestRule
from ccr.transformers.thinking import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.protocol.thinking_wish import ThinkingWish

LOW_BUDGET: Final = 1024
MEDIUM_BUDGET: Final = 8192
"""Budgets in tokens up to which the npm router says ``low`` and ``medium``."""
LEFT_TO_PLUGIN: Final = "thinking_left_to_plugin"
ANSWERED_BY_PLUGIN: Final = frozenset(
    {
        RequestRule.THINKING_DROPPED.value,
        RequestRule.THINKING_AS_REASONING_EFFORT.value,
        RequestRule.THINKING_DISABLED_AS_LOW_EFFORT.value,
    }
)
"""Rules of the conversion that say something else than what happens when a plugin sees to the thinking."""
_KEY: Final = "reasoning"
_OWN_KEY: Final = "reasoning_effort"


class Offer(NamedTuple):
    """What plugins are offered. chat: the request with it. before: without it. reasoning: None for none."""

    chat: ChatRequest
    before: ChatRequest
    reasoning: dict[str, Any] | None


def reasoning_of(wish: ThinkingWish) -> dict[str, Any]:
    """Return a wish in the npm router's form. max_tokens: only where the client names a budget."""
    if not wish.is_on:
        return {"effort": "none", "enabled": False}
    budget = {} if wish.budget_tokens is None else {"max_tokens": wish.budget_tokens}
    return {"effort": _effort(wish), "enabled": True, **budget}


def offer(chat: ChatRequest, wish: ThinkingWish | None) -> Offer:
    """Return the request with a wish as ``reasoning``, where the conversion wrote ``reasoning_effort``."""
    if wish is None or _KEY in chat:
        return Offer(chat, chat, None)
    reasoning = reasoning_of(wish)
    offered = {(_KEY if key == _OWN_KEY else key): value for key, value in chat.items()}
    return Offer(cast("ChatRequest", {**offered, _KEY: reasoning}), chat, reasoning)


def taken_back(chat: ChatRequest, made: Offer) -> ChatRequest | None:
    """Return the request without what was offered, None when a plugin has used it (or taken it away)."""
    values = cast("dict[str, Any]", chat)
    if made.reasoning is None:
        return chat
    if values.get(_KEY) != made.reasoning:
        return None
    if _OWN_KEY not in made.before:
        return cast("ChatRequest", {key: value for key, value in values.items() if key != _KEY})
    own = cast("dict[str, Any]", made.before)[_OWN_KEY]
    items = ((_OWN_KEY, own) if key == _KEY else (key, value) for key, value in values.items())
    return cast("ChatRequest", dict(items))


def thoughts_in(chat: ChatRequest) -> frozenset[tuple[str, str]]:
    """Return the thinking of the history, as the conversion wrote it."""
    return frozenset(thought for message in chat["messages"] if (thought := _thought(message)) is not None)


def without_thoughts(chat: ChatRequest, thoughts: frozenset[tuple[str, str]]) -> ChatRequest:
    """Return the request without the thinking that is still there as it was; the same when none is."""
    messages = list(_without(chat["messages"], thoughts))
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    changed = chat.copy()
    changed["messages"] = messages
    return changed


def _without(messages: list[ChatMessage], thoughts: frozenset[tuple[str, str]]) -> Iterator[ChatMessage]:
    for message in messages:
        if _thought(message) not in thoughts:
            yield message
            continue
        rest = message.copy()
        del rest["thinking"]
        yield rest


def _thought(message: ChatMessage) -> tuple[str, str] | None:
    thinking = plain(message.get("thinking"))
    if message.get("role") != "assistant" or not isinstance(thinking, dict):
        return None
    if thinking.keys() != {"content", "signature"}:
        return None
    return str(thinking["content"]), str(thinking["signature"])


def _effort(wish: ThinkingWish) -> str:
    if wish.effort is not None:
        return REASONING_EFFORTS.get(wish.effort, "high")
    budget = wish.budget_tokens
    if budget is None or budget > MEDIUM_BUDGET:
        return "high"
    return "low" if budget <= LOW_BUDGET else "medium"
