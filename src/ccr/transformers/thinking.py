"""Thinking in a chat request, in all the ways it may be written there: what is asked, what was thought.

Steps for providers with a form of their own read it here, take it away, and write theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from msgspec import Raw

from ccr.protocol.thinking_wish import ThinkingWish

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.openai import ChatMessage, ChatRequest, ContentPart
    from ccr.transformers.base import Context

_KEYS = ("thinking", "output_config", "reasoning", "reasoning_effort")


class Thought(NamedTuple):
    """One piece of thinking: a text with its signature ("" without), or what only its provider can read."""

    text: str = ""
    signature: str = ""
    data: str = ""


def plain(value: Any) -> Any:
    """Return a leaf of a request as a Python value."""
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def wish_of(chat: ChatRequest, context: Context) -> ThinkingWish | None:
    """Return what is asked of the model's thinking, None where nothing is.

    For Claude the conversion has the last word, because thinking may have to stay off for a history.
    """
    if "thinking" not in chat and context.thinking is not None:
        return None if is_claude(context) else context.thinking
    values = {key: plain(cast("Any", chat).get(key)) for key in _KEYS}
    wanted = {key: value if isinstance(value, dict) else {} for key, value in values.items()}
    efforts = (wanted["output_config"].get("effort"), wanted["reasoning"].get("effort"))
    effort = next((word for word in (*efforts, values["reasoning_effort"]) if isinstance(word, str)), None)
    budgets = (wanted["thinking"].get("budget_tokens"), wanted["reasoning"].get("max_tokens"))
    budget = next((number for number in budgets if isinstance(number, int)), None)
    if wanted["thinking"].get("type") == "disabled" or effort == "none":
        return ThinkingWish(False)
    if wanted["reasoning"].get("enabled") is False:
        return ThinkingWish(False)
    asks = wanted["thinking"] or wanted["reasoning"] or values["reasoning_effort"]
    return ThinkingWish(True, budget, effort) if asks else None


def without_wish(chat: ChatRequest) -> ChatRequest:
    """Return the request without any parameter for thinking."""
    return cast("ChatRequest", {key: value for key, value in chat.items() if key not in _KEYS})


def is_claude(context: Context) -> bool:
    """Whether the model is one of Anthropic's."""
    return "claude" in context.model.lower()


def with_thoughts(
    chat: ChatRequest, write: Callable[[ChatMessage, list[Thought]], ChatMessage]
) -> ChatRequest:
    """Return the request with the thinking of each assistant message as ``write`` sets it.

    write: is given the message without its thinking, and the thinking (may be none).
    """
    messages = [
        write(*_parted(message)) if message["role"] == "assistant" else message
        for message in chat["messages"]
    ]
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    changed = chat.copy()
    changed["messages"] = messages
    return changed


def with_text_before(message: ChatMessage, text: str) -> ChatMessage:
    """Return the message with a text before what it says."""
    content = message.get("content")
    changed = message.copy()
    changed["content"] = (
        [{"type": "text", "text": text}, *content] if isinstance(content, list) else text + (content or "")
    )
    return changed


def _parted(message: ChatMessage) -> tuple[ChatMessage, list[Thought]]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    reasoning = [part for part in parts if part.get("type") == "reasoning"]
    unified = plain(message.get("thinking"))
    if not reasoning and not unified:
        return message, []
    thoughts = [thought for part in reasoning for thought in _thoughts_in(part)]
    if isinstance(unified, dict):
        thoughts.append(Thought(unified.get("content") or "", unified.get("signature") or ""))
    rest = message.copy()
    rest.pop("thinking", None)
    if reasoning:
        rest["content"] = [part for part in parts if part.get("type") != "reasoning"] or None
    return rest, [thought for thought in thoughts if any(thought)]


def _thoughts_in(part: ContentPart) -> list[Thought]:
    return [
        Thought(item.get("text") or "", item.get("signature") or "", item.get("data") or "")
        for item in part.get("summary") or ()
    ]


def text_of(thoughts: list[Thought]) -> str:
    """Return the readable text of thinking."""
    return "\n\n".join(thought.text for thought in thoughts if thought.text)
