"""``cleancache``: a request without any ``cache_control``, for providers that refuse the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.transformers.base import Transformer
from ccr.transformers.databricks import cache_control_handled
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule, noted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context


class CleanCache(Transformer):
    """No options."""

    name = "cleancache"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request without cache breakpoints: on messages, parts, tool calls and tools."""
        return noted(chat, cache_control_handled(chat, "strip"), context, StepRule.CACHE_CONTROL_DROPPED)
