"""``maxtoken``: the most that is asked for; and the capping that other steps share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.transformers.base import Transformer
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context

LIMITS = ("max_tokens", "max_completion_tokens")


class MaxToken(Transformer):
    """Option ``max_tokens``: a request that asks for more asks for this many; others stay as they are."""

    name = "maxtoken"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        limit = Options(self.name, options, ("max_tokens",)).whole("max_tokens")
        if limit is None:
            raise ValueError(f"{self.name}: option max_tokens is missing; allowed: a whole number above 0")
        self._limit = limit

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with its limit capped."""
        return with_limit(chat, self._limit, context)


def with_limit(chat: ChatRequest, limit: int, context: Context) -> ChatRequest:
    """Return the request asking for no more than ``limit``, by whichever key it says so."""
    given = {key: plain(cast("Any", chat).get(key)) for key in LIMITS}
    capped = {key: limit for key, value in given.items() if isinstance(value, int) and value > limit}
    if not capped:
        return chat
    context.note(StepRule.MAX_TOKENS_CAPPED)
    return cast("ChatRequest", {**chat, **capped})
