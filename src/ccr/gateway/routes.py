"""The routes of a configuration with everything that is fixed for each: URL, traits, transformers."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ccr.catalog.lookup import name_facts, traits_of
from ccr.gateway.limits import Limits, limits_of
from ccr.routing.route import choose
from ccr.transformers.pipeline import Pipeline
from ccr.upstream.urls import messages_url_of, url_of

if TYPE_CHECKING:
    from ccr.config.model import Config, Provider
    from ccr.protocol.traits import ModelTraits


class Route(NamedTuple):
    """A provider, a model of it, and how requests get there. Each is made once.

    url: for chat completions, "" where there are none. messages_url: where the model may be asked in the
    Messages API's own format, None where it may not. limits: what the provider takes of a request.
    """

    provider: Provider
    model: str
    url: str
    traits: ModelTraits
    pipeline: Pipeline
    messages_url: str | None = None
    limits: Limits = Limits()


MAX_REMEMBERED: Final = 256
"""Clients ask for a handful of models; the rest are mistakes, or mischief."""


class Routes:
    """Finds the route of a request. Raises ValueError when a configured transformer cannot be built."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = {
            (provider.name, model): _route(provider, model)
            for provider in config.providers
            for model in (*provider.models, *provider.discovered)
        }
        self.messages_urls = frozenset(
            (route.provider.name, route.messages_url)
            for route in self._routes.values()
            if route.messages_url is not None
        )
        """Providers' names and the URLs at which models may be asked in the Messages API's own format."""
        self._remembered = lru_cache(maxsize=MAX_REMEMBERED)(self._find)

    def find(self, model: str) -> tuple[Route, str]:
        """Return the route for a request's model, and the rule that chose it. Raises RequestError (400)."""
        # The day counts: the service outlives the one on which some model is switched off.
        return self._remembered(model, dt.datetime.now(dt.UTC).date())

    def _find(self, model: str, today: dt.date) -> tuple[Route, str]:
        decision = choose(model, self._config, lambda name: name_facts(name, today))
        return self._routes[decision.provider.name, decision.model], decision.rule


def _route(provider: Provider, model: str) -> Route:
    traits = traits_of(model)
    # Databricks serves nothing but Claude in this format; a name that says nothing is safe with chat.
    is_asked = provider.api == "anthropic" or (provider.api == "auto" and traits.family == "claude")
    messages_url = messages_url_of(provider, model) if is_asked else None
    limits = limits_of(provider, model, traits)
    pipeline = Pipeline.of(provider, model)
    return Route(
        provider,
        model,
        url_of(provider, model),
        msgspec.structs.replace(traits, max_tokens_cap=limits.max_tokens, handled=pipeline.handles),
        pipeline,
        messages_url,
        limits,
    )
