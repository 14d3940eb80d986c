"""The named rules of the response direction: what the Messages API cannot carry, and what is mended.

Every deviation from a one-to-one translation adds its name to ``.rules`` of the stream or message;
docs/translation.md describes each (a test compares the two lists).
"""

from __future__ import annotations

from enum import StrEnum


class ResponseRule(StrEnum):
    """Names of the rules, as they appear in metrics, logs and docs/translation.md."""

    # content
    CITATIONS_IGNORED = "citations_ignored"
    IMAGE_ANSWER_AS_NOTE = "image_answer_as_note"
    UNKNOWN_PART_AS_TEXT = "unknown_part_as_text"
    UNKNOWN_PART_DROPPED = "unknown_part_dropped"
    HALF_SURROGATE_REPLACED = "half_surrogate_replaced"
    REFUSAL_AS_TEXT = "refusal_as_text"
    SIGNATURE_REPEATED = "signature_repeated"
    SIGNATURE_MADE_UP_DROPPED = "signature_made_up_dropped"
    # tool calls
    TOOL_CALL_ID_MADE = "tool_call_id_made"
    TOOL_CALL_ID_REPLACED = "tool_call_id_replaced"
    TOOL_CALL_WITHOUT_NAME_DROPPED = "tool_call_without_name_dropped"
    TOOL_CALL_UNWRAPPED = "tool_call_unwrapped"
    ARGUMENTS_PLACEHOLDER_DROPPED = "arguments_placeholder_dropped"
    ARGUMENTS_INVALID = "arguments_invalid"
    ARGUMENTS_AFTER_END_DROPPED = "arguments_after_end_dropped"
    # the end
    FINISH_REASON_UNKNOWN = "finish_reason_unknown"


class ResponseRules:
    """The rules applied to one answer: each once, in the order of their first use."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, rule: ResponseRule) -> None:
        """Note that a rule was applied."""
        self._names[rule.value] = None

    def names(self) -> tuple[str, ...]:
        """Return the names of the rules applied so far."""
        return tuple(self._names)
