"""Instructions of steps to the model, put where every provider takes them and no cached prefix changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest


def with_reminder(chat: ChatRequest, text: str) -> ChatRequest:
    """Return the request with a reminder at the end of its last message.

    In a message of its own it would be refused: a system message in the middle by many, a user message after
    tool results by some. So it follows what the user or the tool said, marked as Claude Code marks its own.
    """
    reminder = f"<system-reminder>\n{text}\n</system-reminder>"
    changed = chat.copy()
    *before, last = chat["messages"]
    if _ends_with(last, reminder):
        return chat  # a step that is named twice in the configuration
    if last["role"] in ("user", "tool"):
        changed["messages"] = [*before, _with_text_after(last, reminder)]
    else:
        changed["messages"] = [*before, last, {"role": "user", "content": reminder}]
    return changed


def _ends_with(message: ChatMessage, text: str) -> bool:
    content = message.get("content")
    end = content[-1].get("text", "") if isinstance(content, list) and content else content
    return isinstance(end, str) and end.endswith(text)


def _with_text_after(message: ChatMessage, text: str) -> ChatMessage:
    content = message.get("content")
    changed = message.copy()
    if isinstance(content, list):
        changed["content"] = [*content, {"type": "text", "text": text}]
    else:
        changed["content"] = f"{content}\n\n{text}" if content else text
    return changed
