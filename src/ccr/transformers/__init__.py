"""Steps that change a chat request for one provider, in the configured order."""

from __future__ import annotations

from ccr.transformers.base import Transformer
from ccr.transformers.pipeline import Pipeline
from ccr.transformers.registry import build

__all__ = ["Pipeline", "Transformer", "build"]
