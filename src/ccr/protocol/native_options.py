"""The parameters of a request for the native endpoint, decided by the same functions as on the chat route.

Here those decisions are only carried over to the shape of the Messages API: what a function there would not
send is left out, what it would send stays the client's bytes where the value is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Required, TypedDict, cast

import msgspec

from ccr.protocol.anthropic import MessagesRequest, check_parameters
from ccr.protocol.chat_content import has_value
from ccr.protocol.chat_options import (
    add_sampling,
    effort_from_request,
    json_format_from_request,
    max_tokens_from_request,
)
from ccr.protocol.chat_thinking import thinking_from_request
from ccr.protocol.native_json import OBJECT, JsonObject, decoded, encode, raw
from ccr.protocol.native_rules import NativeRule, NativeRules
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from msgspec import Raw

    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.traits import ModelTraits

OPTIONS: Final = (
    "model",
    "max_tokens",
    "thinking",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "output_config",
    "output_format",
    "stream",
)
"""Parameters that are parsed; all of them are small."""
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_THINKING_KEYS: Final = frozenset({"type", "budget_tokens", "display"})
_OUTPUT_CONFIG_KEYS: Final = frozenset({"effort", "format"})
_DECODER: Final = msgspec.json.Decoder(MessagesRequest)


class NativeThinking(TypedDict, total=False):
    """The ``thinking`` parameter of the Messages API."""

    type: Required[Literal["enabled", "adaptive", "disabled"]]
    budget_tokens: int
    display: str


class NativeOptions(NamedTuple):
    """What changes in a request.

    changes: key to JSON, None for a key that is not sent. is_thinking: the model thinks. notes: for the
    system prompt.
    """

    changes: dict[str, Raw | None]
    is_thinking: bool
    notes: list[str]


def options_from_json(parameters: JsonObject) -> MessagesRequest:
    """Return a request with these parameters alone: no messages, no tools.

    Raises RequestError on a value of the wrong type or an impossible one, and without a model.
    """
    request = decoded(_DECODER, encode({**parameters, "messages": []}))
    check_parameters(request)
    return request


def native_options(
    given: JsonObject,
    request: MessagesRequest,
    traits: ModelTraits,
    rules: NativeRules,
    *,
    may_budget: bool,
) -> NativeOptions:
    """Return what becomes of the parameters.

    given: the client's. request: the same, parsed (`options_from_json`). may_budget: the history allows
    thinking with a budget (its tool loop, if one is going on, began with thinking).
    """
    max_tokens = max_tokens_from_request(request, traits, rules)
    thinking = _thinking(given, request, max_tokens, traits, rules, may_budget=may_budget)
    is_thinking = traits.always_thinks or (thinking is not None and thinking["type"] != "disabled")
    changes: dict[str, Raw | None] = {"thinking": None if thinking is None else raw(thinking)}
    if max_tokens != request.max_tokens:
        changes["max_tokens"] = raw(max_tokens)
    changes.update(_sampling(request, traits, rules, is_thinking=is_thinking))
    changes["output_format"] = None
    changes["output_config"] = _output_config(given, request, traits, rules)
    # Told that the model thinks, the function asks by an instruction: a forced tool would change the answer.
    note = json_format_from_request(request, has_tools=True, is_thinking=True, rules=rules).note
    return NativeOptions(changes, is_thinking, [note] if note else [])


def _thinking(
    given: JsonObject,
    request: MessagesRequest,
    max_tokens: int | None,
    traits: ModelTraits,
    rules: NativeRules,
    *,
    may_budget: bool,
) -> NativeThinking | None:
    if request.thinking is None:
        return None
    if OBJECT.decode(given["thinking"]).keys() - _THINKING_KEYS:
        rules.add(NativeRule.THINKING_FIELDS_DROPPED)
    if request.thinking.type == "disabled":
        if "budget" in traits.thinking:
            return {"type": "disabled"}
        rules.add(RequestRule.THINKING_DISABLED_DROPPED)
        return None
    thinking = thinking_from_request(request, [], max_tokens, traits, rules)
    if thinking is None:
        return None
    if thinking["type"] == "enabled" and not may_budget:
        rules.add(RequestRule.THINKING_OFF_FOR_HISTORY)
        return None
    return cast("NativeThinking", thinking)


def _sampling(
    request: MessagesRequest, traits: ModelTraits, rules: NativeRules, *, is_thinking: bool
) -> dict[str, Raw | None]:
    """Return the keys whose value changes."""
    sent: ChatRequest = {"model": "", "messages": []}
    add_sampling(sent, request, traits, is_thinking=is_thinking, rules=rules)
    changes: dict[str, Raw | None] = {key: None for key in _SAMPLING if key not in sent}
    stop = sent.get("stop")
    if stop != request.stop_sequences:
        changes["stop_sequences"] = raw(stop) if stop else None
    return changes


def _output_config(
    given: JsonObject, request: MessagesRequest, traits: ModelTraits, rules: NativeRules
) -> Raw | None:
    if request.output_config is None:
        return None
    keys = OBJECT.decode(given["output_config"])
    if any(has_value(keys[key]) for key in keys.keys() - _OUTPUT_CONFIG_KEYS):
        rules.add(NativeRule.OUTPUT_CONFIG_FIELDS_DROPPED)
    effort = effort_from_request(request, traits, rules)
    return None if effort is None else raw({"effort": effort})
