"""The named rules of the built-in steps: what they drop or mend, as it is counted.

A name that the translation has as well (``cache_control_dropped``) means the same here.
docs/transformers-builtin.md describes each (a test compares the two lists).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ccr.transformers.base import Context

_T = TypeVar("_T")


class StepRule(StrEnum):
    """Names of the rules, as they appear in records, metrics and docs/transformers-builtin.md."""

    # requests
    BLANK_CONTENT_DROPPED = "blank_content_dropped"
    CACHE_CONTROL_DROPPED = "cache_control_dropped"
    CACHE_CONTROL_REDUCED = "cache_control_reduced"
    IMAGE_URL_REPAIRED = "image_url_repaired"
    PARALLEL_TOOL_CALLS_REMOVED = "parallel_tool_calls_removed"
    STREAM_OPTIONS_REMOVED = "stream_options_removed"
    RESPONSE_FORMAT_AS_INSTRUCTION = "response_format_as_instruction"
    FOREIGN_FIELDS_REMOVED = "foreign_fields_removed"
    EMPTY_MESSAGES_MENDED = "empty_messages_mended"
    SYSTEM_MESSAGE_FOLDED = "system_message_folded"
    MAX_TOKENS_CAPPED = "max_tokens_capped"
    SAMPLING_REPLACED = "sampling_replaced"
    PARAMETERS_REPLACED = "parameters_replaced"
    SCHEMA_DIALECT_DROPPED = "schema_dialect_dropped"
    TOOL_CHOICE_REQUIRED = "tool_choice_required"
    TOOL_CHOICE_AS_REMINDER = "tool_choice_as_reminder"
    # thinking in requests
    THINKING_DROPPED = "thinking_dropped"
    THINKING_TURNED_OFF = "thinking_turned_off"
    THINKING_DISABLED_DROPPED = "thinking_disabled_dropped"
    THINKING_AS_INSTRUCTION = "thinking_as_instruction"
    EFFORT_DROPPED = "effort_dropped"
    EFFORT_REPLACED = "effort_replaced"
    REASONING_CONTENT_FILLED = "reasoning_content_filled"
    # answers
    CALL_ID_MADE = "call_id_made"
    FINISH_REASON_REPAIRED = "finish_reason_repaired"
    ARGUMENTS_REPAIRED = "arguments_repaired"
    EXIT_TOOL_AS_TEXT = "exit_tool_as_text"
    THINKING_PARTED = "thinking_parted"


def noted(before: _T, after: _T, context: Context, rule: StepRule) -> _T:
    """Return ``after``, and note the rule when it is another value than ``before``."""
    if after is not before:
        context.note(rule)
    return after
