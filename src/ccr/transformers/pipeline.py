"""The transformers of one route, in order: the provider's, then the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.transformers.registry import build

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Provider
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context, Transformer


class Pipeline:
    """Steps that are applied one after the other."""

    def __init__(self, steps: Iterable[Transformer]) -> None:
        self.steps = tuple(steps)

    @classmethod
    def of(cls, provider: Provider, model: str) -> Pipeline:
        """Return the pipeline of a route. Raises ValueError on a step that cannot be built."""
        return cls(build(step) for step in (*provider.steps, *provider.model_steps.get(model, ())))

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request after all steps."""
        for step in self.steps:
            chat = step.request(chat, context)
        return chat
