"""Finding the route of a request: its session, its facts, a custom router's word, then the rules.

What depends on the model's name alone is remembered (routes.py). Anything else is looked for only where a
configured rule asks for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from ccr.catalog.lookup import name_facts
from ccr.errors import RequestError
from ccr.gateway.custom_router import Advice, custom_router_of
from ccr.gateway.projects import ProjectRouters
from ccr.gateway.routes import Found
from ccr.gateway.sessions import checked_session_id, session_id_from_metadata
from ccr.routing.facts import Facts, facts_from_view
from ccr.routing.router import Tried
from ccr.routing.rules import SESSION_MIN_TOKENS
from ccr.routing.thinking import ALWAYS_EFFORT, ALWAYS_EFFORT_OF
from ccr.routing.untagged import RULE as TAG_REMOVED
from ccr.routing.workplace import working_directory

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from ccr.config.model import Config
    from ccr.gateway.counting import Counting
    from ccr.gateway.custom_router import JavaScriptHost
    from ccr.gateway.lasting import Lasting
    from ccr.gateway.record import Record
    from ccr.gateway.replies import Client
    from ccr.gateway.routes import Routes
    from ccr.routing.facts import View
    from ccr.routing.router import Rulebook
    from ccr.routing.subagent import Tag

_T = TypeVar("_T")

CUSTOM: Final = "custom"


class Choosing:
    """Finds the routes of all requests of one configuration. clock: monotonic seconds.

    javascript: where a custom router in JavaScript runs. Raises ConfigError when it is needed and not there.
    counting: the tokenizers of providers, None where there are none.
    """

    def __init__(
        self,
        config: Config,
        routes: Routes,
        lasting: Lasting,
        logger: logging.Logger,
        *,
        clock: Callable[[], float],
        javascript: JavaScriptHost | None = None,
        counting: Counting | None = None,
    ) -> None:
        self._routes = routes
        self._is_image_agent_forced = config.force_image_agent
        self._counting = counting
        self._learning = lasting.learning
        self._sessions = lasting.sessions
        self._projects = (
            ProjectRouters(config, lasting.folders, logger, clock) if lasting.folders is not None else None
        )
        custom = custom_router_of(routes.custom_router, javascript)
        self._advice = Advice(custom, config, logger) if custom is not None else None

    async def find(self, view: View, body: bytes, record: Record) -> tuple[Found, Facts]:
        """Return the route of a request, and what was found in it; the record says how it was chosen.

        Raises RequestError (400).
        """
        record.model = view.model
        if record.client.session_id is None:
            record.client = with_session(record.client, view)
        session_id = checked_session_id(record.client.session_id)
        rulebook = None
        if self._projects is not None:
            rulebook = self._projects.rulebook(session_id, partial(working_directory, view))
        rulebook = rulebook or self._routes.rulebook
        facts = self._facts(view, body, rulebook, session_id)
        if facts.has_image and self._leaves_images(record, rulebook):
            facts = facts._replace(leaves_images=True)
        if facts.tokens:
            facts = facts._replace(tokens=await self._counted(body, rulebook) or facts.tokens)
        advised = await self._advised(view, body, record, rulebook) if self._advice is not None else None
        if isinstance(advised, Found):
            found = advised._replace(removes_tag=bool(facts.subagent.model))
        else:
            found = self._routes.find_for(facts, rulebook)
            found = found if advised is None else found._replace(tried=(advised, *found.tried))
        note(record, found)
        return found, facts

    def _facts(self, view: View, body: bytes, rulebook: Rulebook, session_id: str | None) -> Facts:
        wanted = rulebook.router.scenarios
        last_tokens, count_from = 0, 0
        if "longContext" in wanted:
            last_tokens = self._sessions.last_tokens(session_id)
            threshold = rulebook.router.long_context_threshold
            # A token is never less than a byte.
            count_from = min(SESSION_MIN_TOKENS, threshold) if last_tokens > threshold else threshold
        facts = facts_from_view(
            view,
            wanted,
            body_bytes=len(body),
            always_effort=_always_effort(view.model) if "think" in wanted else ALWAYS_EFFORT,
            count_from_bytes=count_from,
            last_tokens=last_tokens,
        )
        if not facts.tokens:
            return facts
        default = rulebook.router.default or ""
        return facts._replace(tokens=self._learning.scaled(facts.tokens, default.partition(",")[2]))

    def _leaves_images(self, record: Record, rulebook: Rulebook) -> bool:
        """Tell whether the image agent answers for an image; it knows Messages requests only."""
        is_there = self._is_image_agent_forced and record.route == "messages"
        return is_there and self._routes.image_agent_of(rulebook) is not None

    async def _counted(self, body: bytes, rulebook: Rulebook) -> int | None:
        """Return the tokens of a request by the tokenizer of the default route; None where it has none."""
        if self._counting is None:
            return None
        provider, _, model = (rulebook.router.default or "").partition(",")
        return await self._counting.count(provider, model, body)

    async def _advised(self, view: View, body: bytes, record: Record, rulebook: Rulebook) -> Found | Tried:
        """Return the route that the custom router names, or why the rules are to decide."""
        assert self._advice is not None  # noqa: S101 - the caller has looked
        client = record.client
        request = {
            "body": msgspec.json.decode(body),
            "headers": client.shown_headers(),
            "url": record.path,
            "tokenCount": await self._counted(body, rulebook) or view.tokens(),
            "sessionId": client.session_id,
        }
        word = await self._advice.word(request, client.request_id)
        if word.name is None:
            return Tried(CUSTOM, word.why)
        try:
            return self._routes.find_named(word.name, CUSTOM, word.why, rulebook)
        except RequestError as error:
            return Tried(CUSTOM, self._advice.failed(error.message, client.request_id).why)


def note(record: Record, found: Found) -> None:
    """Put into the record which route was chosen, and how."""
    record.rule = found.rule
    record.found = found
    record.routing_rules += (TAG_REMOVED,) if found.removes_tag else ()
    record.provider = found.route.provider.name
    record.upstream_model = found.route.model


def untagged(request: _T, found: Found, facts: Facts, without: Callable[[_T, Tag], _T]) -> _T:
    """Return a request without the tag of a subagent, where it has one. without: does it in its dialect."""
    return without(request, facts.subagent) if found.removes_tag else request


def with_session(client: Client, view: View) -> Client:
    """Return a client with the session that its request names, for one that sends no header for it."""
    session_id = session_id_from_metadata(view.metadata())
    return client if session_id is None else replace(client, session_id=session_id)


def _always_effort(model: str) -> str:
    canonical = name_facts(model, dt.date.min).canonical
    return ALWAYS_EFFORT_OF.get(canonical, ALWAYS_EFFORT)
