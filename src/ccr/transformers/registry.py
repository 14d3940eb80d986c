"""The built-in transformers by their configured names; the one place that knows which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.config.model import UnknownStepError
from ccr.transformers.anthropic import Anthropic
from ccr.transformers.databricks import DatabricksCustom
from ccr.transformers.openai import OpenAI

if TYPE_CHECKING:
    from ccr.config.model import Step
    from ccr.transformers.base import Transformer

BUILT_IN: dict[str, type[Transformer]] = {each.name: each for each in (Anthropic, OpenAI, DatabricksCustom)}


def build(step: Step) -> Transformer:
    """Return the transformer a step names. Raises ValueError (a sentence) on unknown names, bad options."""
    transformer = BUILT_IN.get(step.name)
    if transformer is None:
        known = ", ".join(sorted(BUILT_IN))
        raise UnknownStepError(f"unknown transformer {step.name!r}; known transformers: {known}")
    return transformer(step.options)
