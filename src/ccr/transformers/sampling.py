"""``sampling``: fixed sampling parameters, whatever the client sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.transformers.base import Transformer
from ccr.transformers.maxtoken import with_limit
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context

_FORCED = ("temperature", "top_p", "top_k", "repetition_penalty")


class Sampling(Transformer):
    """Options ``temperature``, ``top_p``, ``top_k``, ``repetition_penalty`` are set; ``max_tokens`` caps."""

    name = "sampling"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        read = Options(self.name, options, (*_FORCED, "max_tokens"))
        values = {key: read.whole(key) if key == "top_k" else read.number(key) for key in _FORCED}
        self._forced = {key: value for key, value in values.items() if value is not None}
        self._limit = read.whole("max_tokens")

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with these parameters."""
        chat = chat if self._limit is None else with_limit(chat, self._limit, context)
        if not self._forced:
            return chat
        if any(plain(cast("Any", chat).get(key, value)) != value for key, value in self._forced.items()):
            context.note(StepRule.SAMPLING_REPLACED)
        return cast("ChatRequest", {**chat, **self._forced})
