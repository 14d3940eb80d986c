"""The built-in transformers by their configured names; the one place that knows which there are."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from ccr.config.model import UnknownStepError
from ccr.transformers.anthropic import Anthropic
from ccr.transformers.cerebras import Cerebras
from ccr.transformers.cleancache import CleanCache
from ccr.transformers.customparams import CustomParams
from ccr.transformers.databricks import DatabricksCustom
from ccr.transformers.deepseek import DeepSeek
from ccr.transformers.enhancetool import EnhanceTool
from ccr.transformers.extrathinktag import ExtraThinkTag
from ccr.transformers.forcereasoning import ForceReasoning
from ccr.transformers.groq import Groq
from ccr.transformers.maxcompletiontokens import MaxCompletionTokens
from ccr.transformers.maxtoken import MaxToken
from ccr.transformers.openai import OpenAI
from ccr.transformers.openrouter import OpenRouter
from ccr.transformers.reasoning import Reasoning
from ccr.transformers.sampling import Sampling
from ccr.transformers.streamoptions import StreamOptions
from ccr.transformers.tooluse import ToolUse
from ccr.transformers.vercel import Vercel

if TYPE_CHECKING:
    from ccr.config.model import Step
    from ccr.transformers.base import Transformer

BUILT_IN: dict[str, type[Transformer]] = {
    each.name: each
    for each in (
        Anthropic,
        Cerebras,
        CleanCache,
        CustomParams,
        DatabricksCustom,
        DeepSeek,
        EnhanceTool,
        ExtraThinkTag,
        ForceReasoning,
        Groq,
        MaxCompletionTokens,
        MaxToken,
        OpenAI,
        OpenRouter,
        Reasoning,
        Sampling,
        StreamOptions,
        ToolUse,
        Vercel,
    )
}
_GOOGLE: Final = "Google's OpenAI-compatible endpoint (.../v1beta/openai/chat/completions), and no such step"
_VERTEX: Final = (
    "Vertex AI's OpenAI-compatible endpoint (.../endpoints/openapi/chat/completions) with an access token as "
    "api_key, and no such step"
)
NOT_YET: Final = {
    "gemini": _GOOGLE,
    "vertex-gemini": _VERTEX,
    "vertex-openai": _VERTEX,
    "vertex-claude": "Claude by a Databricks workspace, by OpenRouter, or by the Anthropic API",
    "openai-responses": "the provider's endpoint /v1/chat/completions, and no such step",
}
"""Names of the npm router's steps that are missing here: what to use in their place."""


def build(step: Step) -> Transformer:
    """Return the transformer a step names. Raises ValueError (a sentence) on unknown names, bad options."""
    transformer = BUILT_IN.get(step.name)
    if transformer is not None:
        return transformer(step.options)
    if step.name in NOT_YET:
        raise UnknownStepError(
            f"transformer {step.name!r}, which is not there yet; allowed: {NOT_YET[step.name]}"
        )
    known = ", ".join(sorted(BUILT_IN))
    raise UnknownStepError(
        f"unknown transformer {step.name!r}{_nearest(step.name)}; known transformers: {known}"
    )


def _nearest(name: str) -> str:
    """Return a question for a name that is nearly a known one."""
    by_lower = {known.lower(): known for known in BUILT_IN}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f", did you mean {by_lower[near[0]]!r}?" if near else ""
