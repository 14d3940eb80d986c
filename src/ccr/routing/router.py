"""The decision: the rules in their order, then the model's name. The first that applies decides. Pure.

A `Rulebook` stands for one ``Router`` in force: the configuration's, or that of a project or a session with
what it does not say taken from the configuration.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.errors import RequestError
from ccr.routing.route import Decision, choose, default_of, explicit_route, name_for, name_of
from ccr.routing.rules import RULES, Asked

if TYPE_CHECKING:
    from ccr.config.model import Config, Provider, Router
    from ccr.routing.facts import Facts
    from ccr.routing.route import NameFactsOf


class Tried(NamedTuple):
    """One rule that was looked at, in order; the last one applied."""

    rule: str
    why: str


class Choice(NamedTuple):
    """The route of a request.

    rule: its name (docs/routing.md). alternatives: what is to be tried, in order, when the route fails.
    router: whose ``Router`` it was: "" the configuration's, ``project``, ``session``. removes_tag: the
    request has a subagent's tag, which must not be sent.
    """

    provider: Provider
    model: str
    rule: str
    alternatives: tuple[tuple[Provider, str], ...] = ()
    tried: tuple[Tried, ...] = ()
    router: str = ""
    removes_tag: bool = False


class Rulebook:
    """The rules with one ``Router`` in force.

    router: of a project or a session, None for the configuration's own. scope: ``project``, ``session``.
    """

    def __init__(self, config: Config, router: Router | None = None, scope: str = "") -> None:
        self.router = config.router if router is None else merged(router, config.router)
        self.scope = scope
        self._config = replace(config, router=self.router)
        self._defaults = {config.router.default, self.router.default}
        backgrounds = {each.scenarios.get("background") for each in (config.router, self.router)}
        self._backgrounds = backgrounds - self._defaults

    def decide(self, facts: Facts, name_facts: NameFactsOf) -> Choice:
        """Return the route of a request. Raises RequestError (400) that names what is configured."""
        by_name = choose(facts.model, self._config, name_facts)
        tagged = self._tagged(facts, name_facts)
        asked = Asked(
            facts,
            self.router,
            name_of(facts.model),
            name_facts(facts.model).family,
            self._what(by_name),
            facts.subagent.model if tagged is not None else "",
        )
        tried: list[Tried] = []
        for rule, applies in RULES:
            verdict = applies(asked)
            tried.append(Tried(rule, verdict.why))
            if verdict.route is not None:
                decision = choose(verdict.route, self._config, name_facts)
                return self._choice(decision._replace(rule=rule), tried, tagged)
        if asked.names == "default" and self.router.default is not None:
            # The launcher names the configuration's default; here the project's counts.
            by_name = Decision(*default_of(self._config), by_name.rule if not self.scope else "default")
        tried.append(Tried(by_name.rule, WHY_BY_NAME[by_name.rule]))
        return self._choice(by_name, tried, tagged)

    def name(self, name: str, rule: str, why: str, name_facts: NameFactsOf) -> Choice:
        """Return the route that somebody else has chosen by its name. Raises RequestError (400)."""
        decision = choose(name, self._config, name_facts)
        return self._choice(decision._replace(rule=rule), [Tried(rule, why)], None)

    def _tagged(self, facts: Facts, name_facts: NameFactsOf) -> Decision | None:
        """Return the route of the subagent's tag, None for no tag. Raises RequestError for a wrong one."""
        tag = facts.subagent
        if not tag.model:
            return None
        try:
            return choose(tag.model, self._config, name_facts)
        except RequestError as error:
            if not tag.is_certain:
                return None
            raise RequestError(f"<CCR-SUBAGENT-MODEL>: {error.message}") from error

    def _what(self, by_name: Decision) -> str:
        """Return what the name is, see `rules.Asked.names`."""
        route = f"{by_name.provider.name},{by_name.model}"
        is_only_name = by_name.rule == "explicit" and name_for(*by_name[:2], self._config) == route
        if by_name.rule == "model" or is_only_name:
            if route in self._defaults:
                return "default"
            if route in self._backgrounds:
                return "background"
        return "model" if by_name.rule == "model" else ""

    def _choice(self, decision: Decision, tried: list[Tried], tagged: Decision | None) -> Choice:
        route = f"{decision.provider.name},{decision.model}"
        key = decision.rule
        if key not in self.router.scenarios and (key in NOT_CHOSEN or route == self.router.default):
            key = "default"
        return Choice(
            decision.provider,
            decision.model,
            decision.rule,
            tuple(
                explicit_route(name, self._config)
                for name in self.router.alternatives.get(key, ())
                if name != route
            ),
            tuple(tried),
            self.scope,
            tagged is not None,
        )


NOT_CHOSEN: Final = ("same_model", "family", "default")
"""Rules by which the client has named no configured model: the default's alternatives serve it as well."""
WHY_BY_NAME: Final = {
    "explicit": "the model of Router.default by its only name",
    "model": "the model of Router.default by its name",
    "same_model": "another name of a configured model",
    "default": "nothing else applies",
    "family": "the best configured model of the family",
}


def merged(router: Router, base: Router) -> Router:
    """Return the ``Router`` of a project as it counts: alone, but for the default and background routes.

    They are the configuration's where the project says nothing (the npm router does the same).
    """
    inherited = {key: base.scenarios[key] for key in ("background",) if key in base.scenarios}
    default = router.default or base.default
    alternatives = dict(router.alternatives)
    if router.default is None and "default" in base.alternatives:
        alternatives["default"] = base.alternatives["default"]
    if "background" not in router.scenarios and "background" in base.alternatives:
        alternatives["background"] = base.alternatives["background"]
    scenarios = {**inherited, **router.scenarios}
    return replace(router, default=default, scenarios=scenarios, alternatives=alternatives)
