"""``cerebras``: without the parameters for thinking that Cerebras refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ccr.transformers.base import Transformer
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import wish_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context

_REFUSED: Final = ("reasoning", "thinking", "output_config")


class Cerebras(Transformer):
    """No options."""

    name = "cerebras"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request without them; GLM, which can be told not to think, is told so."""
        wish = wish_of(chat, context)
        if any(key in chat for key in _REFUSED):
            if wish is not None and wish.is_on:
                context.note(StepRule.THINKING_DROPPED)
            chat = cast("ChatRequest", {key: value for key, value in chat.items() if key not in _REFUSED})
        if wish is not None and not wish.is_on and "glm" in context.model.lower():
            chat = cast("ChatRequest", {**chat, "disable_reasoning": True})
        return chat
