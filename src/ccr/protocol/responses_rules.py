"""The named rules that only requests of ``POST /v1/responses`` need; docs/http.md describes each.

What a request of the Messages API needs as well has its name from there (request_rules.py).
"""

from __future__ import annotations

from enum import StrEnum

from ccr.protocol.request_rules import RequestRule, Rules


class ResponsesRule(StrEnum):
    """Names of the rules, as they appear in metrics, logs and docs/http.md."""

    # what the service would have to keep
    STORE_DROPPED = "store_dropped"
    TRUNCATION_DROPPED = "truncation_dropped"
    # what is asked of the answer
    INCLUDE_DROPPED = "include_dropped"
    LOGPROBS_DROPPED = "logprobs_dropped"
    OBFUSCATION_DROPPED = "obfuscation_dropped"
    MAX_TOOL_CALLS_DROPPED = "max_tool_calls_dropped"
    # input
    FOREIGN_REASONING_DROPPED = "foreign_reasoning_dropped"
    IMAGE_DETAIL_DROPPED = "image_detail_dropped"
    # what Claude does not take
    OPENAI_PARAMETERS_DROPPED = "openai_parameters_dropped"
    ARGUMENTS_REPLACED = "arguments_replaced"
    # thinking and caching
    EFFORT_AS_BUDGET = "effort_as_budget"
    CACHE_CONTROL_ADDED = "cache_control_added"
    # tools
    CUSTOM_TOOL_AS_FUNCTION = "custom_tool_as_function"
    CUSTOM_TOOL_FORMAT_AS_TEXT = "custom_tool_format_as_text"
    NAMESPACE_FLATTENED = "namespace_flattened"
    ALLOWED_TOOLS_FILTERED = "allowed_tools_filtered"


class ResponsesRules(Rules):
    """The rules applied while one request is converted, each once, of both kinds."""

    def add(self, rule: RequestRule | ResponsesRule) -> None:
        """Note that a rule was applied."""
        self._names[rule.value] = None
