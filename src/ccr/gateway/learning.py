"""Token estimates that learn from the counts the upstreams report; a sample of the answers is enough."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.routes import Route
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.usage import Usage

EVERY_S: Final = 5.0
"""At most one answer of a model in this time is learned from: an estimate takes time itself."""


class Learning:
    """The estimator of all models. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._estimator = _estimator()
        self._learned_at: dict[str, float] = {}

    def estimate(self, request: MessagesRequest) -> int:
        """Return how many input tokens the request has."""
        return self._estimator.estimate(request)

    def wants(self, route: Route) -> bool:
        """Tell whether the next answer of the route should be learned from; a yes holds for a while."""
        now = self._clock()
        learned_at = self._learned_at.get(route.model)
        if learned_at is not None and now - learned_at < EVERY_S:
            return False
        self._learned_at[route.model] = now
        return True

    def learn(self, request: MessagesRequest, usage: Usage | None) -> None:
        """Correct the estimates of the request's model by what was counted for this request."""
        if usage is None:
            return
        actual = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        if actual > 0:
            self._estimator.learn(request.model, self._estimator.estimate(request), actual)


def _estimator() -> Any:
    # Until protocol/tokens.py is there, every request counts as one token.
    try:
        return importlib.import_module("ccr.protocol.tokens").TokenEstimator()
    except ModuleNotFoundError:
        return _One()


class _One:
    def estimate(self, _request: object) -> int:
        return 1

    def learn(self, *_args: object) -> None:
        pass
