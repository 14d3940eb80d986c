"""Why an answer ended: the one table from ``finish_reason`` to ``stop_reason``.

The content decides between ``end_turn`` and ``tool_use``: Databricks is known to say ``stop`` beside tool
calls, and a ``tool_use`` without a tool to run would leave the client waiting for a result. A word that is
in no table is passed on as it is (the client takes any word as the end of the turn); it is never replaced
by ``end_turn``.
"""

from __future__ import annotations

from typing import Final

_STOP_REASON_OF: Final = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
    # Words of the Messages API itself, from adapters that do not translate them.
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "model_context_window_exceeded": "model_context_window_exceeded",
}


def stop_reason_from_finish_reason(finish_reason: str, *, has_tool_use: bool) -> str:
    """Return the message's ``stop_reason``.

    finish_reason: the upstream's word, not empty. has_tool_use: the message holds a ``tool_use`` block.
    """
    stop_reason = _STOP_REASON_OF.get(finish_reason, finish_reason)
    if stop_reason in {"end_turn", "tool_use"}:
        return "tool_use" if has_tool_use else "end_turn"
    return stop_reason


def is_known_finish_reason(finish_reason: str) -> bool:
    """Tell whether the table holds the word; other words are passed on and counted by a rule."""
    return finish_reason in _STOP_REASON_OF
