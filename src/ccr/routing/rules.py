"""The rules, one function each: does it apply to a request, whereto, and why. Pure.

Their order is that of `RULES`; the first that applies decides (routing/router.py). A scenario's rule applies
only where ``Router`` has a route for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ccr.config.model import Router
    from ccr.routing.facts import Facts

SESSION_MIN_TOKENS: Final = 20_000
"""A session whose last answer was a long context stays one only with requests of more than this: its small
ones are the client's own jobs. The figure is the npm router's."""


class Asked(NamedTuple):
    """A request with what its model's name says.

    router: the one in force. name: without ``[1m]``. family: ``haiku``, ``opus`` …; "" for no Claude.
    names: ``default`` or ``background`` when the name is that of the very model of this route, ``model``
    when it is that of another configured one, "" otherwise. subagent_route: the name in the subagent's tag,
    "" where there is no tag, or one that names no model.
    """

    facts: Facts
    router: Router
    name: str
    family: str
    names: str
    subagent_route: str


class Verdict(NamedTuple):
    """What a rule says. route: a model's name or ``provider,model``; None: the rule does not apply."""

    route: str | None
    why: str


def explicit(asked: Asked) -> Verdict:
    """Apply to ``provider,model``, but not to the only name of the default or background route."""
    if "," in asked.name and not asked.names:
        return Verdict(asked.name, "the request names provider and model")
    if asked.names in ("default", "background") and "," in asked.name:
        return Verdict(None, f"the model of Router.{asked.names}, which is no choice")
    return Verdict(None, "the request names no provider")


def subagent(asked: Asked) -> Verdict:
    """Apply to a request with the tag of a subagent."""
    if asked.subagent_route:
        return Verdict(asked.subagent_route, f"the tag CCR-SUBAGENT-MODEL names {asked.subagent_route}")
    if asked.facts.subagent.model:
        return Verdict(None, "the tag CCR-SUBAGENT-MODEL in the text names no configured model")
    return Verdict(None, "no tag CCR-SUBAGENT-MODEL")


def model(asked: Asked) -> Verdict:
    """Apply to the name of a configured model; those of the default and background routes are no choice.

    The launcher gives the client these names, so that they say no more than that somebody uses ccr.
    """
    if asked.names == "model":
        return Verdict(asked.name, "the name of a configured model")
    if asked.names:
        return Verdict(None, f"the model of Router.{asked.names}, which is no choice")
    return Verdict(None, "not the name of a configured model")


def long_context(asked: Asked) -> Verdict:
    """Apply to more input tokens than the threshold, now or in the session's last answer."""
    route = asked.router.scenarios.get("longContext")
    if route is None:
        return _unset("longContext")
    threshold, facts = asked.router.long_context_threshold, asked.facts
    if facts.tokens > threshold:
        return Verdict(route, f"about {facts.tokens} tokens, more than {threshold}")
    if facts.last_tokens > threshold and facts.tokens > SESSION_MIN_TOKENS:
        return Verdict(route, f"the session had {facts.last_tokens} tokens, more than {threshold}")
    return Verdict(None, f"not more than {threshold} tokens")


def background(asked: Asked) -> Verdict:
    """Apply to a name of the haiku family, which the client uses for small jobs of its own."""
    route = asked.router.scenarios.get("background")
    if route is None:
        return _unset("background")
    if asked.names == "background":
        return Verdict(route, "the model of Router.background")
    if asked.names == "default":
        return Verdict(None, "the model of Router.default")
    if asked.family == "haiku":
        return Verdict(route, "a name of the haiku family")
    return Verdict(None, "not a name of the haiku family")


def web_search(asked: Asked) -> Verdict:
    """Apply to requests with the server tool of web search."""
    route = asked.router.scenarios.get("webSearch")
    if route is None:
        return _unset("webSearch")
    if asked.facts.has_web_search:
        return Verdict(route, "a tool of type web_search")
    return Verdict(None, "no tool of type web_search")


def think(asked: Asked) -> Verdict:
    """Apply when more thinking is asked for than the client always asks for."""
    route = asked.router.scenarios.get("think")
    if route is None:
        return _unset("think")
    if asked.facts.more_thinking:
        return Verdict(route, f"asked for by {asked.facts.more_thinking}")
    return Verdict(None, "no more thinking than the client always asks for")


def image(asked: Asked) -> Verdict:
    """Apply to an image in the last message of the user."""
    route = asked.router.scenarios.get("image")
    if route is None:
        return _unset("image")
    if asked.facts.leaves_images:
        return Verdict(None, "an image, which forceUseImageAgent leaves to the image agent")
    if asked.facts.has_image:
        return Verdict(route, "an image in the last message of the user")
    return Verdict(None, "no image in the last message of the user")


def _unset(key: str) -> Verdict:
    return Verdict(None, f"Router.{key} is not set")


RULES: Final = (
    ("explicit", explicit),
    ("subagent", subagent),
    ("model", model),
    ("longContext", long_context),
    ("background", background),
    ("webSearch", web_search),
    ("think", think),
    ("image", image),
)
"""After these the model's name alone decides (routing/route.py)."""
