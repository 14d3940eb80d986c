"""``customparams``: any parameters, where the request has none of its own; and the merging steps share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ccr.transformers.base import Transformer
from ccr.transformers.options import ANYWHERE
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context

NEVER_SET: Final = ("messages", "stream", *ANYWHERE)
"""Not parameters: what the conversation and the client's connection are made of."""


class CustomParams(Transformer):
    """Any options: each is a parameter of the request.

    A parameter the request has stays. Two objects are merged; inside them the option counts, as in the npm
    router, so that a part of an object can be set.
    """

    name = "customparams"

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with the parameters it lacks."""
        added = {key: _joined(chat, key, value) for key, value in parameters_of(self.options).items()}
        return with_parameters(chat, added, context)


def parameters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are parameters of a request."""
    return {key: value for key, value in options.items() if key not in NEVER_SET}


def with_parameters(chat: ChatRequest, added: Mapping[str, Any], context: Context) -> ChatRequest:
    """Return the request with parameters; notes when one of its own has to give way."""
    if not added:
        return chat
    given = cast("Mapping[str, Any]", chat)
    if any(_is_lost(plain(given[key]), value) for key, value in added.items() if key in given):
        context.note(StepRule.PARAMETERS_REPLACED)
    return cast("ChatRequest", {**chat, **added})


def _is_lost(given: Any, above: Any) -> bool:
    """Tell whether something of a value is gone after another has taken its place."""
    above = plain(above)
    if isinstance(given, dict) and isinstance(above, dict):
        return any(key not in above or _is_lost(plain(value), above[key]) for key, value in given.items())
    return bool(given != above)


def merged(below: Any, above: Any) -> Any:
    """Return ``above`` on top of ``below``: objects key by key, at any depth."""
    below = plain(below)
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def _joined(chat: ChatRequest, key: str, value: Any) -> Any:
    if key not in chat:
        return value
    given = cast("Any", chat)[key]
    return merged(given, value) if isinstance(plain(given), dict) and isinstance(value, dict) else given
