"""What an upstream writes beside a tool call and wants to have back with it: Gemini's thought signature.

Gemini 3 refuses a history whose calls lack the signatures it gave them, and the Messages API has no place for
one. So they are remembered by the call's id, for a while, and put back (databricks.md §2, message rules; the
names of the fields are Google's, https://ai.google.dev/gemini-api/docs/thought-signatures). Opaque values.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.completion import ToolCall
    from ccr.protocol.openai import ChatMessage, ChatRequest

Extras = dict[str, Raw]
"""Field of the tool call -> its value as received."""

MAX_CALLS: Final = 4096
MAX_CALL_BYTES: Final = 64 * 1024
MAX_BYTES: Final = 8 * 1024 * 1024
_NO_VALUE: Final = (b"", b"null")


def extras_of(call: ToolCall) -> Extras:
    """Return what stands beside a call (or a fragment of one), without what has no value."""
    given = {
        "extra_content": call.extra_content,
        "thought_signature": call.thought_signature,
        "thoughtSignature": call.thought_signature_of_google,
    }
    # Copies: what was decoded would keep the whole chunk.
    return {name: Raw(bytes(value)) for name, value in given.items() if bytes(value) not in _NO_VALUE}


class CallExtras:
    """The extras of the calls seen last, by route (``provider,model``) and id of the tool call."""

    def __init__(self) -> None:
        self._extras: OrderedDict[tuple[str, str], Extras] = OrderedDict()
        self._bytes = 0

    def put(self, route: str, extras: Mapping[str, Extras]) -> None:
        """Remember the extras of an answer's calls, by id; the oldest ones are forgotten."""
        for call_id, each in extras.items():
            size = _size(each)
            if size > MAX_CALL_BYTES:
                continue
            self._bytes += size - _size(self._extras.pop((route, call_id), {}))
            self._extras[route, call_id] = each
        while len(self._extras) > MAX_CALLS or self._bytes > MAX_BYTES:
            _, oldest = self._extras.popitem(last=False)
            self._bytes -= _size(oldest)

    def restored(self, route: str, chat: ChatRequest) -> ChatRequest:
        """Return the request with the extras of its calls; the same object when none is known."""
        if not self._extras:
            return chat
        messages = [self._message(route, message) for message in chat["messages"]]
        if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
            return chat
        return {**chat, "messages": messages}

    def _message(self, route: str, message: ChatMessage) -> ChatMessage:
        calls = message.get("tool_calls") or []
        known = [self._extras.get((route, call["id"])) for call in calls]
        if not any(known):
            return message
        restored = [{**call, **(extras or {})} for call, extras in zip(calls, known, strict=True)]
        return {**message, "tool_calls": cast("Any", restored)}


def _size(extras: Extras) -> int:
    return sum(len(bytes(value)) for value in extras.values())
