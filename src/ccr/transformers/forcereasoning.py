"""``forcereasoning``: thinking from models that have none of their own, by asking them to write it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice
from ccr.transformers.options import Options
from ccr.transformers.reminders import with_reminder
from ccr.transformers.rules import StepRule
from ccr.transformers.tags import Tags, TagStep, with_thinking_parted
from ccr.transformers.thinking import Thought, text_of, with_text_before, with_thoughts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.transformers.base import ChunkStep, Completion, Context

TAGS: Final = Tags("<reasoning_content>", "</reasoning_content>")
INSTRUCTION: Final = (
    "Think before you answer, however simple the question is. Begin your answer with your thinking, written "
    f"between {TAGS.open} and {TAGS.close}. After the closing tag comes the answer itself, or a tool call; "
    "it must make sense to somebody who cannot see the thinking."
)


class ForceReasoning(Transformer):
    """No options. A client that says not to think is obeyed."""

    name = "forcereasoning"
    handles = frozenset({"wish", "history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with the instruction, and with earlier thinking in the form it asks for."""
        chat = with_thoughts(chat, _with_tags)
        if context.thinking is not None and not context.thinking.is_on:
            return chat
        if context.thinking is not None:
            context.note(StepRule.THINKING_AS_INSTRUCTION)
        return with_reminder(chat, INSTRUCTION)

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with its thinking apart."""
        return with_thinking_parted(completion, TAGS, context)

    def stream(self, context: Context) -> ChunkStep:
        """Return what does the same with a stream."""
        return ByChoice(lambda index: TagStep(index, TAGS, context))


def _with_tags(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
    text = text_of(thoughts)
    return with_text_before(message, f"{TAGS.open}{text}{TAGS.close}\n") if text else message
