"""``openrouter``: OpenRouter's parameter for thinking, its ``reasoning_details``, what its models differ in.

Sources: OpenRouter's pages on reasoning tokens, prompt caching and provider routing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice, Choice
from ccr.transformers.customparams import parameters_of, with_parameters
from ccr.transformers.databricks import cache_control_handled, image_urls_repaired
from ccr.transformers.rules import StepRule, noted
from ccr.transformers.thinking import Thought, is_claude, text_of, wish_of, with_thoughts, without_wish
from ccr.transformers.tool_ids import IdStep, with_ids

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.protocol.thinking_wish import ThinkingWish
    from ccr.transformers.base import ChunkStep, Completion, Context

CLAUDE_FORMAT: Final = "anthropic-claude-v1"
_EFFORTS: Final = {"max": "xhigh"}
_WRITTEN_BY_CONVERSION: Final = {"thinking", "output_config"}


class OpenRouter(Transformer):
    """Any options: they are parameters of the request and count before its own (``provider.only`` …)."""

    name = "openrouter"
    handles = frozenset({"wish", "history"})

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request as OpenRouter takes it."""
        if is_claude(context):
            chat = with_thoughts(chat, _with_details)
        else:
            stripped = cache_control_handled(chat, "strip")
            noted(chat, stripped, context, StepRule.CACHE_CONTROL_DROPPED)
            chat = with_thoughts(stripped, _with_reasoning)
        if "reasoning" not in chat and (context.thinking or _WRITTEN_BY_CONVERSION & chat.keys()):
            chat = _with_wish(chat, wish_of(chat, context), context)
        chat = noted(chat, image_urls_repaired(chat), context, StepRule.IMAGE_URL_REPAIRED)
        return with_parameters(_without_media_types(chat), parameters_of(self.options), context)

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with usable ids, a true finish_reason, and Claude's signatures."""
        completion = with_ids(completion, context, repairs_finish=True)
        choices = completion.get("choices")
        if not isinstance(choices, list) or not is_claude(context):
            return completion
        return {**completion, "choices": [_signed_message(choice) for choice in choices]}

    def stream(self, context: Context) -> ChunkStep:
        """Return what does the same with a stream."""
        return ByChoice(lambda index: AnswerStep(index, context))


class AnswerStep(IdStep):
    """One choice of a stream."""

    def __init__(self, index: int, context: Context) -> None:
        super().__init__(index, context, repairs_finish=True)
        self._is_claude = is_claude(context)

    def choice(self, choice: Choice) -> list[Choice]:
        """Return the choice with usable ids, a true finish_reason, and Claude's signatures."""
        if self._is_claude and choice["delta"].get("reasoning_details"):
            choice = {**choice, "delta": _signed(choice["delta"])}
        return super().choice(choice)


def _with_wish(chat: ChatRequest, wish: ThinkingWish | None, context: Context) -> ChatRequest:
    """Return the request with a wish in OpenRouter's form.

    Thinking that is not wanted is left to the model's default: many models refuse to have it turned off.
    """
    if wish is None or not wish.is_on:
        if wish is not None:
            context.note(StepRule.THINKING_DISABLED_DROPPED)
        if "output_config" in chat:
            context.note(StepRule.EFFORT_DROPPED)
        return without_wish(chat)
    reasoning = reasoning_of(wish)
    if wish.effort is not None and reasoning.get("effort") != wish.effort:
        context.note(StepRule.EFFORT_REPLACED if "effort" in reasoning else StepRule.EFFORT_DROPPED)
    return cast("ChatRequest", {**without_wish(chat), "reasoning": reasoning})


def reasoning_of(wish: ThinkingWish) -> dict[str, Any]:
    """Return OpenRouter's ``reasoning`` for thinking that is on: a budget or an effort, never both."""
    if wish.budget_tokens is not None:
        return {"max_tokens": wish.budget_tokens}
    if wish.effort is not None:
        return {"effort": _EFFORTS.get(wish.effort, wish.effort)}
    return {"enabled": True}


def _with_reasoning(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
    text = text_of(thoughts)
    return cast("ChatMessage", {**message, "reasoning": text}) if text else message


def _with_details(message: ChatMessage, thoughts: list[Thought]) -> ChatMessage:
    """Return the message with thinking as Claude must have it back: verbatim, signed, in order."""
    details = [_detail(thought, index) for index, thought in enumerate(thoughts)]
    return cast("ChatMessage", {**message, "reasoning_details": details}) if details else message


def _detail(thought: Thought, index: int) -> dict[str, Any]:
    about = {"format": CLAUDE_FORMAT, "index": index}
    if thought.data:
        return {"type": "reasoning.encrypted", "data": thought.data, **about}
    return {"type": "reasoning.text", "text": thought.text, "signature": thought.signature, **about}


def _signed_message(choice: Any) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not message.get("reasoning_details"):
        return choice
    return {**choice, "message": _signed(message)}


def _signed(holder: dict[str, Any]) -> dict[str, Any]:
    """Return a delta or message with what only ``reasoning_details`` say, where the way back reads it.

    The text is in ``reasoning`` as well, and stays there for clients that read it.
    """
    details = [detail for detail in holder["reasoning_details"] if isinstance(detail, dict)]
    signature = next((detail["signature"] for detail in details if detail.get("signature")), None)
    text = "".join(detail.get("text") or "" for detail in details)
    signed = holder
    if signature or (text and not holder.get("reasoning")):
        thinking = {} if holder.get("reasoning") else {"content": text}
        signed = {**signed, "thinking": {**thinking, **({"signature": signature} if signature else {})}}
    data = [detail["data"] for detail in details if detail.get("data")]
    if data and not holder.get("content"):
        summary = [{"type": "summary_encrypted_text", "data": each} for each in data]
        signed = {**signed, "content": [{"type": "reasoning", "summary": summary}]}
    return signed


def _without_media_types(chat: ChatRequest) -> ChatRequest:
    """Return the request without the key that the npm router's format has beside an image's address."""
    messages = [_without_media_type(message) for message in chat["messages"]]
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    return cast("ChatRequest", {**chat, "messages": messages})


def _without_media_type(message: ChatMessage) -> ChatMessage:
    content = message.get("content")
    if not isinstance(content, list) or not any("media_type" in part for part in content):
        return message
    parts = [{key: value for key, value in part.items() if key != "media_type"} for part in content]
    return cast("ChatMessage", {**message, "content": parts})
