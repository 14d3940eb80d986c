"""Requests for the built-in transformers."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

from ccr.protocol.openai import decode_chat_request, encode_chat_request
from ccr.transformers.base import Context

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.thinking_wish import ThinkingWish
    from ccr.transformers.base import Transformer

Json = dict[str, Any]
TOOL: Json = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


def chat(*messages: Json, **keys: object) -> ChatRequest:
    """Return a request in plain values."""
    listed = list(messages) or [{"role": "user", "content": "hi"}]
    return cast("ChatRequest", {"model": "m", "messages": listed, **keys})


def context(wish: ThinkingWish | None = None, model: str = "m") -> Context:
    """Return what a step may know."""
    return Context(provider="p", model=model, request_id="req_1", thinking=wish)


def sent(step: Transformer, request: ChatRequest, known: Context | None = None) -> Json:
    """Return what a step sends, as the upstream reads it.

    The request is not changed; as a client's own, with Raw leaves, it becomes the same; and twice is once.
    """
    known = known or context()
    given = copy.deepcopy(request)
    made = step.request(given, known)
    assert given == request
    body: Json = json.loads(encode_chat_request(made))
    decoded = decode_chat_request(encode_chat_request(request))
    assert json.loads(encode_chat_request(step.request(decoded, known))) == body
    assert json.loads(encode_chat_request(step.request(made, known))) == body
    return body
