"""``streamoptions``: token counts at the end of a stream, for providers that send them only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ccr.transformers.base import Transformer
from ccr.transformers.customparams import merged
from ccr.transformers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context


class StreamOptions(Transformer):
    """No options."""

    name = "streamoptions"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return a request for a stream with ``stream_options.include_usage``; others stay as they are."""
        if not chat.get("stream"):
            return chat
        stream_options = merged(cast("Any", chat).get("stream_options"), {"include_usage": True})
        return cast("ChatRequest", {**chat, "stream_options": stream_options})
