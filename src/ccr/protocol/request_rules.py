"""The named rules of the request direction: what a chat endpoint cannot take, and what becomes of it.

Every deviation from a one-to-one translation adds its name to ``Conversion.rules``; docs/translation.md
describes each (a test compares the two lists).
"""

from __future__ import annotations

from enum import StrEnum


class RequestRule(StrEnum):
    """Names of the rules, as they appear in metrics, logs and docs/translation.md."""

    HALF_CHARACTER_REPLACED = "half_character_replaced"
    # system and messages
    BILLING_HEADER_DROPPED = "billing_header_dropped"
    SYSTEM_MESSAGE_FOLDED = "system_message_folded"
    EMPTY_TEXT_DROPPED = "empty_text_dropped"
    EMPTY_MESSAGE_DROPPED = "empty_message_dropped"
    MESSAGES_MERGED = "messages_merged"
    USER_TURN_FILLED = "user_turn_filled"
    # content blocks
    CITATIONS_DROPPED = "citations_dropped"
    IMAGE_AS_NOTE = "image_as_note"
    IMAGE_URL_AS_NOTE = "image_url_as_note"
    IMAGE_URL_FETCHED = "image_url_fetched"
    IMAGE_REENCODED = "image_reencoded"
    DOCUMENT_AS_TEXT = "document_as_text"
    DOCUMENT_AS_NOTE = "document_as_note"
    SEARCH_RESULT_AS_TEXT = "search_result_as_text"
    SERVER_TOOL_BLOCK_AS_TEXT = "server_tool_block_as_text"
    UNKNOWN_BLOCK_AS_NOTE = "unknown_block_as_note"
    # tool calls and results
    TOOL_USE_ID_RENAMED = "tool_use_id_renamed"
    TOOL_USE_NAME_FILLED = "tool_use_name_filled"
    TOOL_USE_NAME_REPLACED = "tool_use_name_replaced"
    TOOL_ERROR_AS_TEXT = "tool_error_as_text"
    TOOL_REFERENCE_AS_TEXT = "tool_reference_as_text"
    TOOL_RESULT_ATTACHMENT_LIFTED = "tool_result_attachment_lifted"
    EMPTY_TOOL_RESULT_FILLED = "empty_tool_result_filled"
    MISSING_TOOL_RESULT_FILLED = "missing_tool_result_filled"
    ORPHAN_TOOL_RESULT_AS_TEXT = "orphan_tool_result_as_text"
    DUPLICATE_TOOL_RESULT_AS_TEXT = "duplicate_tool_result_as_text"
    PARALLEL_CALLS_SPLIT = "parallel_calls_split"
    ASSISTANT_TURN_FILLED = "assistant_turn_filled"
    # prompt caching
    CACHE_CONTROL_DROPPED = "cache_control_dropped"
    CACHE_CONTROL_MOVED = "cache_control_moved"
    CACHE_CONTROL_REDUCED = "cache_control_reduced"
    CACHE_CONTROL_OVER_LIMIT = "cache_control_over_limit"
    # thinking
    UNSIGNED_THINKING_DROPPED = "unsigned_thinking_dropped"
    THINKING_HISTORY_DROPPED = "thinking_history_dropped"
    THINKING_ONLY_MESSAGE_DROPPED = "thinking_only_message_dropped"
    THINKING_DROPPED = "thinking_dropped"
    THINKING_OFF_FOR_HISTORY = "thinking_off_for_history"
    THINKING_OFF_FOR_MAX_TOKENS = "thinking_off_for_max_tokens"
    THINKING_ENABLED_AS_ADAPTIVE = "thinking_enabled_as_adaptive"
    THINKING_ADAPTIVE_AS_ENABLED = "thinking_adaptive_as_enabled"
    THINKING_DISABLED_DROPPED = "thinking_disabled_dropped"
    THINKING_BUDGET_CLAMPED = "thinking_budget_clamped"
    THINKING_DISPLAY_REPLACED = "thinking_display_replaced"
    THINKING_DISPLAY_DROPPED = "thinking_display_dropped"
    THINKING_AS_REASONING_EFFORT = "thinking_as_reasoning_effort"
    THINKING_DISABLED_AS_LOW_EFFORT = "thinking_disabled_as_low_effort"
    # parameters
    MAX_TOKENS_CLAMPED = "max_tokens_clamped"
    MAX_TOKENS_CAPPED = "max_tokens_capped"
    MAX_TOKENS_FILLED = "max_tokens_filled"
    SAMPLING_DROPPED = "sampling_dropped"
    EFFORT_DROPPED = "effort_dropped"
    EFFORT_REPLACED = "effort_replaced"
    EMPTY_STOP_SEQUENCE_DROPPED = "empty_stop_sequence_dropped"
    JSON_FORMAT_AS_TOOL = "json_format_as_tool"
    JSON_FORMAT_AS_INSTRUCTION = "json_format_as_instruction"
    OUTPUT_FORMAT_DROPPED = "output_format_dropped"
    METADATA_DROPPED = "metadata_dropped"
    CONTEXT_MANAGEMENT_DROPPED = "context_management_dropped"
    CONTAINER_DROPPED = "container_dropped"
    MCP_SERVERS_DROPPED = "mcp_servers_dropped"
    SERVICE_TIER_DROPPED = "service_tier_dropped"
    REQUEST_CACHE_CONTROL_DROPPED = "request_cache_control_dropped"
    UNKNOWN_FIELDS_DROPPED = "unknown_fields_dropped"
    CALL_SIGNATURE_RESTORED = "call_signature_restored"
    # tools
    SERVER_TOOLS_DROPPED = "server_tools_dropped"
    PLACEHOLDER_TOOL_DROPPED = "placeholder_tool_dropped"
    DUPLICATE_TOOL_DROPPED = "duplicate_tool_dropped"
    TOOL_SCHEMA_TYPE_ADDED = "tool_schema_type_added"
    SCHEMA_KEYWORDS_DROPPED = "schema_keywords_dropped"
    SCHEMA_CHOICE_REDUCED = "schema_choice_reduced"
    SCHEMA_REFERENCE_INLINED = "schema_reference_inlined"
    MORE_TOOLS_THAN_DOCUMENTED = "more_tools_than_documented"
    TOOL_STRICT_DROPPED = "tool_strict_dropped"
    TOOL_DEFER_LOADING_DROPPED = "tool_defer_loading_dropped"
    TOOL_INPUT_EXAMPLES_DROPPED = "tool_input_examples_dropped"
    TOOL_OPTIONS_DROPPED = "tool_options_dropped"
    TOOL_CHOICE_DROPPED = "tool_choice_dropped"
    FORCED_TOOL_CHOICE_AS_AUTO = "forced_tool_choice_as_auto"
    PARALLEL_TOOL_USE_AS_INSTRUCTION = "parallel_tool_use_as_instruction"


class Rules:
    """The rules applied while one request is converted: each once, in the order of their first use."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, rule: RequestRule) -> None:
        """Note that a rule was applied."""
        self._names[rule.value] = None

    def add_all(self, rules: Rules) -> None:
        """Note the rules that were applied to a part of the request."""
        self._names.update(rules._names)

    def names(self) -> tuple[str, ...]:
        """Return the names of the rules applied so far."""
        return tuple(self._names)
