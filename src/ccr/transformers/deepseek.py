"""``deepseek``: DeepSeek's limit, and the thinking that has to go back with every answer of the history.

Since V4 the API answers 400 ("The `reasoning_content` in the thinking mode must be passed back") to a request
with tools in which one assistant message is without it, be it empty (its guide on the thinking mode). How
much is thought is said by ``reasoning_effort``, which the conversion writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.transformers.base import Transformer
from ccr.transformers.maxtoken import with_limit
from ccr.transformers.options import Options
from ccr.transformers.reasoning import with_reasoning_content
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import Thought, with_thoughts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.transformers.base import Context

MAX_TOKENS = 8_192
"""The limit the npm router keeps to; the newer models take more."""


class DeepSeek(Transformer):
    """Option ``max_tokens``: the most that is asked for, 8192 by default."""

    name = "deepseek"
    handles = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._limit = Options(self.name, options, ("max_tokens",)).whole("max_tokens") or MAX_TOKENS

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request within the limit, with ``reasoning_content`` wherever it is demanded."""
        chat = with_limit(chat, self._limit, context)

        def filled(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
            message = with_reasoning_content(message, thoughts)
            if "reasoning_content" in message:
                return message
            context.note(StepRule.REASONING_CONTENT_FILLED)
            return cast("ChatMessage", {**message, "reasoning_content": ""})

        return with_thoughts(chat, filled if chat.get("tools") else with_reasoning_content)
