"""Requests in the three dialects, as the rules see them."""

from __future__ import annotations

import json
from typing import Any

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.native_request import request_from_json
from ccr.protocol.openai import decode_chat_request
from ccr.routing.facts import Facts, View, facts_from_view
from ccr.routing.views import ChatView, MessagesView, NativeView

WANTED = ("longContext", "background", "webSearch", "think", "image")
ULTRATHINK = (
    'The user included the keyword "ultrathink", requesting deeper reasoning on this turn. '
    "Reason as thoroughly as the task warrants."
)
PNG = {"type": "base64", "media_type": "image/png", "data": "QUJD" * 600}


def body_of(**changes: Any) -> bytes:
    """Return a request in the shape of the client's main loop."""
    return json.dumps(
        {
            "model": "claude-sonnet-4-6",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc;"},
                {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
            ],
            "tools": [{"name": "Bash", "description": "runs", "input_schema": {"type": "object"}}],
            "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s-1"}'},
            "max_tokens": 32000,
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
            "stream": True,
            **changes,
        }
    ).encode()


def messages_view(body: bytes) -> View:
    return MessagesView(decode_messages_request(body))


def native_view(body: bytes) -> View:
    return NativeView(request_from_json(body))


def chat_view(body: bytes) -> View:
    return ChatView(decode_chat_request(body), body)


def facts_of(view: View, body: bytes, **changes: Any) -> Facts:
    return facts_from_view(
        view, **{"wanted": WANTED, "body_bytes": len(body), "always_effort": "high", **changes}
    )
