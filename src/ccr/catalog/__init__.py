"""What is known of models: limits, kinds of thinking, prices."""

from __future__ import annotations

from ccr.catalog.lookup import ModelFacts, NameFacts, model_facts, name_facts, traits_of

__all__ = ["ModelFacts", "NameFacts", "model_facts", "name_facts", "traits_of"]
