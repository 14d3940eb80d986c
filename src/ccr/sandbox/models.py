"""What each hosted model takes: the only table of model facts the sandbox has.

Source: the price and limit table of the model endpoints and the thinking rules (reference: databricks.md §2,
§5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ccr.sandbox.families import Family, family_of

BUDGET = frozenset({"enabled", "disabled"})
BOTH = frozenset({"enabled", "adaptive", "disabled"})
ADAPTIVE = frozenset({"adaptive"})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ModelRules:
    """The limits of one endpoint; token counts are tokens.

    thinking: the values of ``thinking.type`` it takes. always_thinks: without the parameter too. sampling:
    whether temperature, top_p and top_k are taken. effort: whether ``output_config.effort`` is. prefill:
    whether the last message may be the assistant's. shows_thinking: whether thinking is shown when the
    request does not say (``display``). family: of another vendor than Anthropic.
    """

    name: str
    upstream_name: str
    context: int = 200_000
    max_output: int = 64_000
    thinking: frozenset[str] = BUDGET
    always_thinks: bool = False
    sampling: bool = True
    effort: bool = False
    prefill: bool = False
    shows_thinking: bool = True
    min_cache_tokens: int = 1_024
    family: Family | None = None


_BUDGET_FAMILIES: dict[str, dict[str, Any]] = {
    "opus-4": {"max_output": 32_000},
    "opus-4-1": {"max_output": 32_000},
    "opus-4-5": {"min_cache_tokens": 4_096},
    "sonnet-4": {},
    "sonnet-4-5": {},
    "haiku-4-5": {"min_cache_tokens": 4_096},
}
_BOTH_FAMILIES: dict[str, dict[str, Any]] = {
    "opus-4-6": {"max_output": 128_000, "min_cache_tokens": 4_096},
    "sonnet-4-6": {},
}
_ADAPTIVE_FAMILIES: dict[str, dict[str, Any]] = {
    "opus-4-7": {"min_cache_tokens": 2_048},
    "opus-4-8": {},
    "opus-5": {"min_cache_tokens": 512},
    "opus-5-5": {"always_thinks": True, "min_cache_tokens": 512},
    "sonnet-5": {},
    "sonnet-5-5": {"min_cache_tokens": 512},
    "haiku-5-5": {"min_cache_tokens": 512},
    "fable-5": {"always_thinks": True, "min_cache_tokens": 512},
    "fable-5-1": {"always_thinks": True, "min_cache_tokens": 512},
}

DEFAULT_MODELS = (
    "databricks-claude-sonnet-4",
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-sonnet-5",
    "databricks-claude-opus-4-5",
    "databricks-claude-opus-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
)


def rules_of(endpoint: str) -> ModelRules:
    """Return the rules of an endpoint, by the family in its name; an unknown family gets the newest one's."""
    other = family_of(endpoint)
    if other is not None:
        return ModelRules(endpoint, endpoint, thinking=NONE, prefill=True, family=other)
    family = endpoint.rpartition("claude-")[2]
    upstream_name = f"us.anthropic.claude-{family}-v1:0"
    if family in _BUDGET_FAMILIES:
        return replace(ModelRules(endpoint, upstream_name, prefill=True), **_BUDGET_FAMILIES[family])
    if family in _BOTH_FAMILIES:
        rules = ModelRules(endpoint, upstream_name, context=1_000_000, thinking=BOTH, effort=True)
        return replace(rules, **_BOTH_FAMILIES[family])
    rules = ModelRules(
        endpoint,
        upstream_name,
        context=1_000_000,
        max_output=128_000,
        thinking=ADAPTIVE,
        sampling=False,
        effort=True,
        shows_thinking=False,
    )
    return replace(rules, **_ADAPTIVE_FAMILIES.get(family, {}))
