"""Trying the next route when one fails, as long as the client has received nothing.

The order: providers of the same ``pool``, the one with the least to do first; then the alternatives of the
rule that chose the route (``Router.<rule>`` lists, ``fallback``). Where the client named a provider, that one
stays the first. Another route is tried only for what it may not have: the upstream is down or full, or knows
neither the model nor us. What is wrong with the request itself is told to the client at once.

Each route has the whole line to itself, because what is sent depends on the model. All routes together share
the tries of one request (upstream/retry.py): the more routes are left, the fewer retries one gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ccr.errors import UpstreamError
from ccr.upstream.balance import least_loaded_first
from ccr.upstream.retry import MAX_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ccr.config.model import Provider
    from ccr.gateway.record import Record
    from ccr.gateway.routes import Found, Route

Answered = TypeVar("Answered")

EXPLICIT: Final = "explicit"
"""The rule of a request that names its provider."""


def routes_to_try(
    found: Found, pool: Sequence[Route], *, load: Callable[[Provider], float], session: str
) -> tuple[Route, ...]:
    """Return the routes of a request in order, each once.

    pool: the routes that stand in for the found one, it among them; empty when there are none.
    """
    first: tuple[Route, ...] = (found.route,)
    if len(pool) > 1:
        by_name = {route.provider.name: route.provider for route in pool}
        ordered = least_loaded_first(
            pool,
            name=lambda route: route.provider.name,
            load=lambda name: load(by_name[name]),
            session=session,
        )
        first = (found.route, *ordered) if found.rule == EXPLICIT else tuple(ordered)
    if len(first) == 1 and not found.alternatives:
        return first
    once: dict[tuple[str, str], Route] = {}
    for route in (*first, *found.alternatives):
        once.setdefault((route.provider.name, route.model), route)
    return tuple(once.values())


async def first_answer(
    routes: Sequence[Route], record: Record, ask: Callable[[Route], Awaitable[Answered]]
) -> Answered:
    """Return what the first route that can answer gives. Raises the last route's ApiError."""
    effort = record.effort
    extra_left = MAX_ATTEMPTS - 1
    for index, route in enumerate(routes):
        left = len(routes) - 1 - index
        effort.retries_left = given = max(0, extra_left - left)
        sent = effort.sent
        record.begin_route(route.provider.name, route.model)
        try:
            return await ask(route)
        except UpstreamError as error:
            if effort.sent == sent or not effort.failures:
                effort.failures.append(f"{route.provider.name},{route.model}: {error.status}")
            if not error.is_of_route:
                raise
            if left == 0:
                raise _with_others(error, routes) from error
            extra_left -= given - effort.retries_left
            extra_left -= 1 if effort.sent > sent else 0
    raise AssertionError("the last route returns or raises")  # pragma: no cover - see above


def _with_others(error: UpstreamError, routes: Sequence[Route]) -> UpstreamError:
    """Name the other routes in the last one's error, so that nobody takes it for all there is."""
    if len(routes) > 1:
        others = ", ".join(f"{route.provider.name},{route.model}" for route in routes[:-1])
        ending = "" if error.message.endswith((".", "?", "!")) else "."
        error.message = f"{error.message}{ending} Failed before: {others}."
        error.args = (error.message,)
    return error
