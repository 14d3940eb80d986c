"""``extrathinktag``: thinking that a model writes into its text, between ``<think>`` and ``</think>``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice
from ccr.transformers.options import Options
from ccr.transformers.tags import Tags, TagStep, with_thinking_parted
from ccr.transformers.thinking import Thought, text_of, with_text_before, with_thoughts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.transformers.base import ChunkStep, Completion, Context

TAGS: Final = Tags("<think>", "</think>")


class ExtraThinkTag(Transformer):
    """No options."""

    name = "extrathinktag"
    handles = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with the thinking of earlier answers where the model wrote it."""
        return with_thoughts(chat, _with_tags)

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with its thinking apart."""
        return with_thinking_parted(completion, TAGS, context)

    def stream(self, context: Context) -> ChunkStep:
        """Return what does the same with a stream."""
        return ByChoice(lambda index: TagStep(index, TAGS, context))


def _with_tags(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
    text = text_of(thoughts)
    return with_text_before(message, f"{TAGS.open}\n{text}\n{TAGS.close}\n\n") if text else message
