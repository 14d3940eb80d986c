"""The named rules of the native route: what its endpoint refuses, and what becomes of it.

A rule that means the same as on the chat route has the same name (request_rules.py); the names here are those
that exist on the native route alone. docs/native-route.md describes all of them (a test compares the lists).
"""

from __future__ import annotations

import re
from enum import StrEnum

from ccr.protocol.request_rules import RequestRule, Rules

MAX_NAMED_FIELDS = 8
"""How many dropped fields of one request are named, so that odd input cannot fill the metrics with names."""
_PLAIN_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


class NativeRule(StrEnum):
    """Names of the rules, as they appear in metrics, logs and docs/native-route.md."""

    MESSAGE_FIELDS_DROPPED = "message_fields_dropped"
    BLOCK_FIELDS_DROPPED = "block_fields_dropped"
    THINKING_FIELDS_DROPPED = "thinking_fields_dropped"
    OUTPUT_CONFIG_FIELDS_DROPPED = "output_config_fields_dropped"


SHARED_RULES = frozenset(
    {
        RequestRule.BILLING_HEADER_DROPPED,
        RequestRule.SYSTEM_MESSAGE_FOLDED,
        RequestRule.EMPTY_TEXT_DROPPED,
        RequestRule.EMPTY_MESSAGE_DROPPED,
        RequestRule.MESSAGES_MERGED,
        RequestRule.USER_TURN_FILLED,
        RequestRule.IMAGE_AS_NOTE,
        RequestRule.IMAGE_URL_AS_NOTE,
        RequestRule.IMAGE_URL_FETCHED,
        RequestRule.IMAGE_REENCODED,
        RequestRule.DOCUMENT_AS_TEXT,
        RequestRule.DOCUMENT_AS_NOTE,
        RequestRule.SERVER_TOOL_BLOCK_AS_TEXT,
        RequestRule.UNKNOWN_BLOCK_AS_NOTE,
        RequestRule.TOOL_REFERENCE_AS_TEXT,
        RequestRule.CACHE_CONTROL_DROPPED,
        RequestRule.CACHE_CONTROL_REDUCED,
        RequestRule.UNSIGNED_THINKING_DROPPED,
        RequestRule.THINKING_HISTORY_DROPPED,
        RequestRule.THINKING_ONLY_MESSAGE_DROPPED,
        RequestRule.THINKING_DROPPED,
        RequestRule.THINKING_OFF_FOR_HISTORY,
        RequestRule.THINKING_OFF_FOR_MAX_TOKENS,
        RequestRule.THINKING_ENABLED_AS_ADAPTIVE,
        RequestRule.THINKING_ADAPTIVE_AS_ENABLED,
        RequestRule.THINKING_DISABLED_DROPPED,
        RequestRule.THINKING_BUDGET_CLAMPED,
        RequestRule.THINKING_DISPLAY_REPLACED,
        RequestRule.THINKING_DISPLAY_DROPPED,
        RequestRule.MAX_TOKENS_CLAMPED,
        RequestRule.MAX_TOKENS_CAPPED,
        RequestRule.MAX_TOKENS_FILLED,
        RequestRule.SAMPLING_DROPPED,
        RequestRule.EFFORT_DROPPED,
        RequestRule.EMPTY_STOP_SEQUENCE_DROPPED,
        RequestRule.JSON_FORMAT_AS_INSTRUCTION,
        RequestRule.OUTPUT_FORMAT_DROPPED,
        RequestRule.UNKNOWN_FIELDS_DROPPED,
        RequestRule.REQUEST_CACHE_CONTROL_DROPPED,
        RequestRule.SERVER_TOOLS_DROPPED,
        RequestRule.PLACEHOLDER_TOOL_DROPPED,
        RequestRule.TOOL_STRICT_DROPPED,
        RequestRule.TOOL_DEFER_LOADING_DROPPED,
        RequestRule.TOOL_INPUT_EXAMPLES_DROPPED,
        RequestRule.TOOL_OPTIONS_DROPPED,
        RequestRule.TOOL_CHOICE_DROPPED,
        RequestRule.FORCED_TOOL_CHOICE_AS_AUTO,
    }
)
"""The rules of the chat route that the native route applies too."""


class NativeRules(Rules):
    """The rules applied while one request is sanitised, each once; also those named after a dropped field."""

    def __init__(self) -> None:
        super().__init__()
        self._named_fields = 0

    def add(self, rule: RequestRule | NativeRule) -> None:
        """Note that a rule was applied."""
        self._names[rule.value] = None

    def add_dropped_field(self, key: str) -> None:
        """Note a field of the request that the endpoint does not take: ``<key>_dropped``."""
        if key == "cache_control":
            self.add(RequestRule.REQUEST_CACHE_CONTROL_DROPPED)
        elif _PLAIN_KEY.fullmatch(key) and self._named_fields < MAX_NAMED_FIELDS:
            self._named_fields += 1
            self._names[f"{key}_dropped"] = None
        else:
            self.add(RequestRule.UNKNOWN_FIELDS_DROPPED)
