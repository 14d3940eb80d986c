"""The routes of a configuration with everything that is fixed for each: URL, traits, transformers."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ccr.catalog.lookup import name_facts, traits_of
from ccr.gateway.custom_router import loaded_custom_router
from ccr.gateway.limits import Limits, limits_of
from ccr.routing.facts import Facts
from ccr.routing.router import Rulebook
from ccr.transformers.pipeline import Pipeline
from ccr.transformers.registry import build
from ccr.upstream.urls import messages_url_of, url_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Config, Provider
    from ccr.protocol.traits import ModelTraits
    from ccr.routing.router import Choice, Tried
    from ccr.transformers.pipeline import Build


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


class ImageAgentRoutes(NamedTuple):
    """The routes to the model that looks at images for others, in order.

    is_forced: it does so for models that see, too.
    """

    routes: tuple[Route, ...]
    is_forced: bool

    def is_for(self, route: Route) -> bool:
        """Tell whether images of requests to a route are left to it."""
        first = self.routes[0]
        is_itself = route.provider.name == first.provider.name and route.model == first.model
        return (self.is_forced or not route.traits.takes_images) and not is_itself


class Found(NamedTuple):
    """The route of a request.

    rule: that chose it. alternatives: what is to be tried, in order, when it fails. tried: the rules that
    were looked at. router: ``project`` or ``session`` when it was the ``Router`` of one, "" otherwise.
    removes_tag: the request has a subagent's tag, which must not be sent. image_agent: see there; None where
    no ``Router.image`` is.
    """

    route: Route
    rule: str
    alternatives: tuple[Route, ...] = ()
    tried: tuple[Tried, ...] = ()
    router: str = ""
    removes_tag: bool = False
    image_agent: ImageAgentRoutes | None = None


MAX_REMEMBERED: Final = 256
"""Clients ask for a handful of models; the rest are mistakes, or mischief."""


class Routes:
    """Finds the route of a request. build: makes what does a step's work, of `Plugins` where there are some.

    Raises ValueError when a configured transformer cannot be built, ConfigError when the file of a custom
    router cannot be loaded.
    """

    def __init__(self, config: Config, build: Build = build) -> None:
        self.custom_router = loaded_custom_router(config)
        self.rulebook = Rulebook(config)
        """The rules of the configuration's own ``Router``."""
        self._routes = {
            (provider.name, model): _route(provider, model, build)
            for provider in config.providers
            for model in (*provider.models, *provider.discovered)
        }
        self.all = tuple(self._routes.values())
        self.messages_urls = frozenset(
            (route.provider.name, route.messages_url) for route in self.all if route.messages_url is not None
        )
        """Providers' names and the URLs at which models may be asked in the Messages API's own format."""
        self._pools = _pools(self.all)
        self._remembered = lru_cache(maxsize=MAX_REMEMBERED)(self._find)
        self._is_image_agent_forced = config.force_image_agent
        self.image_agent_of = lru_cache(maxsize=MAX_REMEMBERED)(self._image_agent_of)
        """The image agent of a rulebook, None where it names no model that sees."""

    def find(self, model: str) -> Found:
        """Return the route for a model's name, when nothing else is known. Raises RequestError (400)."""
        return self.find_for(Facts(model))

    def find_for(self, facts: Facts, rulebook: Rulebook | None = None) -> Found:
        """Return the route for a request. rulebook: of its project. Raises RequestError (400)."""
        rulebook = rulebook or self.rulebook
        # The day counts: the service outlives the one on which some model is switched off.
        today = dt.datetime.now(dt.UTC).date()
        if facts.is_plain:
            return self._remembered(facts.model, rulebook, today)
        return self._found(rulebook.decide(facts, lambda name: name_facts(name, today)), rulebook)

    def find_named(self, name: str, rule: str, why: str, rulebook: Rulebook | None = None) -> Found:
        """Return the route that somebody has chosen by name. Raises RequestError (400)."""
        today = dt.datetime.now(dt.UTC).date()
        rulebook = rulebook or self.rulebook
        return self._found(rulebook.name(name, rule, why, lambda model: name_facts(model, today)), rulebook)

    def pool_of(self, route: Route) -> tuple[Route, ...]:
        """Return the routes that stand in for one another with this one; none when it is in no pool."""
        return self._pools.get((route.provider.network.pool or "", route.model.lower()), ())

    def _find(self, model: str, rulebook: Rulebook, today: dt.date) -> Found:
        return self._found(rulebook.decide(Facts(model), lambda name: name_facts(name, today)), rulebook)

    def _found(self, choice: Choice, rulebook: Rulebook) -> Found:
        first, *others = self._routes_of(choice)
        return Found(
            first,
            choice.rule,
            tuple(others),
            choice.tried,
            choice.router,
            choice.removes_tag,
            self.image_agent_of(rulebook),
        )

    def _routes_of(self, choice: Choice) -> list[Route]:
        named = ((choice.provider, choice.model), *choice.alternatives)
        return [self._routes[provider.name, model] for provider, model in named]

    def _image_agent_of(self, rulebook: Rulebook) -> ImageAgentRoutes | None:
        name = rulebook.router.scenarios.get("image")
        if name is None:
            return None
        choice = rulebook.name(name, "image", "", lambda model: name_facts(model, dt.date.min))
        routes = self._routes_of(choice)
        return (
            ImageAgentRoutes(tuple(routes), self._is_image_agent_forced)
            if routes[0].traits.takes_images
            else None
        )


def _pools(routes: Iterable[Route]) -> dict[tuple[str, str], tuple[Route, ...]]:
    """Return (pool, model) -> its routes, in the order of Providers."""
    pools: dict[tuple[str, str], tuple[Route, ...]] = {}
    for route in routes:
        if route.provider.network.pool is not None:
            key = (route.provider.network.pool, route.model.lower())
            pools[key] = (*pools.get(key, ()), route)
    return pools


def _route(provider: Provider, model: str, build: Build) -> Route:
    traits = traits_of(model)
    # Databricks serves nothing but Claude in this format; a name that says nothing is safe with chat.
    is_asked = provider.api == "anthropic" or (provider.api == "auto" and traits.family == "claude")
    messages_url = messages_url_of(provider, model) if is_asked else None
    limits = limits_of(provider, model, traits)
    pipeline = Pipeline.of(provider, model, build)
    return Route(
        provider,
        model,
        url_of(provider, model),
        msgspec.structs.replace(traits, max_tokens_cap=limits.max_tokens, handled=pipeline.handles),
        pipeline,
        messages_url,
        limits,
    )
