"""``maxcompletiontokens``: ``max_tokens`` under the name that OpenAI's reasoning models want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.transformers.base import Transformer
from ccr.transformers.maxtoken import with_limit
from ccr.transformers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context


class MaxCompletionTokens(Transformer):
    """Option ``max_completion_tokens``: never ask for more than this many."""

    name = "maxcompletiontokens"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        read = Options(self.name, options, ("max_completion_tokens",))
        self._limit = read.whole("max_completion_tokens")

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with the renamed key; one that is there already counts."""
        if "max_tokens" in chat:
            rest = {key: value for key, value in chat.items() if key != "max_tokens"}
            chat = cast("ChatRequest", {"max_completion_tokens": chat["max_tokens"], **rest})
        return chat if self._limit is None else with_limit(chat, self._limit, context)
