"""``Router`` and ``fallback``: which route serves which kind of request, and which ones are tried after it.

The same keys stand in config.json and in the files of a project or a session (gateway/projects.py). Source:
the npm router's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ccr.config.findings import shape
from ccr.config.model import DEFAULT_LONG_CONTEXT_TOKENS, Router
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccr.config.model import Provider

SCENARIOS: Final = ("background", "think", "longContext", "webSearch", "image")
"""Keys of ``Router`` beside ``default`` that hold a route; also the names of the rules."""
THRESHOLD: Final = "longContextThreshold"
KEYS: Final = ("default", *SCENARIOS, THRESHOLD)
MAX_THRESHOLD: Final = 100_000_000
LISTED: Final = 10
"""How many configured routes a problem names."""


def router_from(root: Section, providers: Iterable[Provider], *, is_default_needed: bool = True) -> Router:
    """Return the ``Router`` and the ``fallback`` of a file.

    is_default_needed: ``default`` must be there; it need not in the files of projects and sessions.
    """
    routes = {
        f"{provider.name},{model}".lower(): f"{provider.name},{model}"
        for provider in providers
        for model in provider.models
    }
    section = Section(root.table("Router"), "Router", root.findings)
    section.warn_of_unknown(KEYS)
    chains = {key: _chain(section, key, routes) for key in ("default", *SCENARIOS)}
    if is_default_needed and not chains["default"]:
        section.problem("default", section.quoted("default"), _known(routes))
    return Router(
        default=chains["default"][0] if chains["default"] else None,
        scenarios={key: chains[key][0] for key in SCENARIOS if chains[key]},
        long_context_threshold=section.integer(THRESHOLD, DEFAULT_LONG_CONTEXT_TOKENS, 1, MAX_THRESHOLD),
        alternatives=_alternatives(chains, _fallback(root, routes, chains)),
        others={key: value for key, value in section.values.items() if key not in KEYS},
    )


def values_from_router(router: Router) -> dict[str, Any]:
    """Return the object ``Router`` that means ``router``; what came from ``fallback`` stands in lists."""
    routes = {"default": router.default, **router.scenarios}
    lists = {key: [route, *router.alternatives.get(key, ())] for key, route in routes.items()}
    values: dict[str, Any] = {key: chain if chain[1:] else chain[0] for key, chain in lists.items()}
    if "longContext" in router.scenarios:
        values[THRESHOLD] = router.long_context_threshold
    return values


def _fallback(
    root: Section, routes: Mapping[str, str], chains: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the npm router's ``fallback``: rule -> further routes.

    One that leads back to the rule's own route is warned of and no problem: the npm router's documented
    example has one, and a failed route is not tried again there either way.
    """
    section = Section(root.table("fallback"), "fallback", root.findings)
    keys = ("default", *SCENARIOS)
    section.warn_of_unknown(keys)
    found = {key: _chain(section, key, routes) for key in keys}
    for key, chain in found.items():
        for route in chain:
            if route in chains[key]:
                section.findings.warn(
                    section.at(key), f"leads back to {route}, which Router.{key} names: it is not tried twice"
                )
    return found


def _alternatives(
    chains: Mapping[str, tuple[str, ...]], fallback: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return what is tried after the first route of each rule, each route once."""
    found = {}
    for key, chain in chains.items():
        first, rest = chain[:1], (*chain[1:], *fallback[key])
        further = tuple(route for route in dict.fromkeys(rest) if route not in first)
        if first and further:
            found[key] = further
    return found


def _chain(section: Section, key: str, routes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the routes at a key, a text or a list of texts, in the spelling of Providers.

    A list that comes back to a route is a problem: it would fail there again.
    """
    value = section.values.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if not isinstance(value, list):
        return _route(section, section.at(key), value, routes)
    chain: list[str] = []
    for index, entry in enumerate(value):
        path = f"{section.at(key)}[{index}]"
        for route in _route(section, path, entry, routes):
            if route in chain:
                again = f"{route}, as in {section.at(key)}[{chain.index(route)}]"
                section.findings.problem(path, again, "each route once: a chain must not lead back to itself")
            chain.append(route)
    return tuple(chain)


def _route(section: Section, path: str, value: Any, routes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the one route a value names; none after a problem."""
    if not isinstance(value, str):
        section.findings.problem(path, shape(value), "a text provider,model, or a list of such")
        return ()
    asked = ",".join(part.strip() for part in value.split(",", 1)).lower()
    if asked not in routes:
        section.findings.problem(path, section.findings.quoted(path, value), _known(routes))
        return ()
    return (routes[asked],)


def _known(routes: Mapping[str, str]) -> str:
    return ", ".join(list(routes.values())[:LISTED]) or "provider,model of Providers"
