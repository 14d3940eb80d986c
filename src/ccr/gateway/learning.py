"""Token estimates that learn from the counts the upstreams report; a sample of the answers is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.tokens import TokenEstimator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.routes import Route
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.usage import Usage

EVERY_S: Final = 5.0
"""At most one answer of a model in this time is learned from: an estimate takes time itself."""


class Learning:
    """The estimates of all upstream models. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._estimator = TokenEstimator()
        self._sampled_at: dict[str, float] = {}

    def estimate(self, request: MessagesRequest, route: Route) -> int:
        """Return how many input tokens the request has for the route's model."""
        return self._estimator.estimate(request, model=route.model)

    def scaled(self, counted: int, model: str) -> int:
        """Return an uncorrected estimate as it is for an upstream model."""
        return round(counted * self._estimator.factor(model))

    def sample(self, request: MessagesRequest, route: Route) -> int | None:
        """Return the estimate to learn from when the answer is there; None when one was sampled just now."""
        return self.estimate(request, route) if self._is_due(route) else None

    def estimate_of(self, body: bytes, route: Route) -> int | None:
        """Return the estimate for a request that was not decoded, None when it cannot be."""
        try:
            return self.estimate(decode_messages_request(body), route)
        except RequestError:
            return None

    def sample_of(self, body: bytes, route: Route) -> int | None:
        """Return what ``sample`` returns, for a request that was not decoded."""
        return self.estimate_of(body, route) if self._is_due(route) else None

    def learn(self, route: Route, estimated: int | None, usage: Usage | None) -> None:
        """Correct the estimates of the route's model by what was counted for a sampled request."""
        if estimated is not None and usage is not None:
            self._estimator.learn(route.model, estimated, usage.prompt_tokens)

    def _is_due(self, route: Route) -> bool:
        now = self._clock()
        sampled_at = self._sampled_at.get(route.model)
        if sampled_at is not None and now - sampled_at < EVERY_S:
            return False
        self._sampled_at[route.model] = now
        return True
