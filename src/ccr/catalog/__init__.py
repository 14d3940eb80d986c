"""What is known of models: limits, kinds of thinking, prices."""

from __future__ import annotations

from ccr.catalog.lookup import ModelFacts, model_facts, traits_of

__all__ = ["ModelFacts", "model_facts", "traits_of"]
