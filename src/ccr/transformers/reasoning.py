"""``reasoning``: thinking for providers that take ``thinking`` and ``enable_thinking`` (Qwen, GLM, Kimi …).

Their thinking comes as ``reasoning_content``, which the way back reads from every provider, and goes back to
them in the same field: in a tool loop some refuse to go on without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.protocol.thinking_wish import ThinkingWish
from ccr.transformers.base import Transformer
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import Thought, text_of, wish_of, with_thoughts, without_wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.transformers.base import Context


class Reasoning(Transformer):
    """Option ``enable``: false turns thinking off whatever the client asks; true, the default, leaves it."""

    name = "reasoning"
    handles = frozenset({"wish", "history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._is_enabled = Options(self.name, options, ("enable",)).boolean("enable") is not False

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with these parameters, none where the client says nothing of thinking."""
        asked = wish_of(chat, context)
        wish = asked if self._is_enabled else ThinkingWish(False)
        if asked is not None and asked.is_on:
            if not self._is_enabled:
                context.note(StepRule.THINKING_TURNED_OFF)
            elif asked.effort is not None:
                context.note(StepRule.EFFORT_DROPPED)
        if wish is not None:
            parameters = {"thinking": _thinking(wish), "enable_thinking": wish.is_on}
            chat = cast("ChatRequest", {**without_wish(chat), **parameters})
        return with_thoughts(chat, with_reasoning_content)


def with_reasoning_content(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
    """Return the message with its thinking as ``reasoning_content``; one that has it already stays."""
    text = text_of(thoughts)
    if not text or "reasoning_content" in message:
        return message
    return cast("ChatMessage", {**message, "reasoning_content": text})


def _thinking(wish: ThinkingWish) -> dict[str, Any]:
    if not wish.is_on:
        return {"type": "disabled"}
    budget = {} if wish.budget_tokens is None else {"budget_tokens": wish.budget_tokens}
    return {"type": "enabled", **budget}
