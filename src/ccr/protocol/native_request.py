"""A Messages request for Databricks' native Anthropic endpoint: the client's bytes, less what it refuses.

The endpoint takes the Messages API without Anthropic's betas, and answers 400 to every key it does not know
(databricks.md §1, "Native route sanitize list"). So this is an allow-list, and each thing it takes out or
changes is a named rule (docs/native-route.md). Pure: the same body, model and traits give the same bytes,
which prompt caching depends on.

Only the levels that have to be looked at are parsed: the body, its messages and tools, their blocks. Texts,
schemas, inputs and images are copied, never decoded. A 120 KB request costs about 0.2 ms.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.protocol.anthropic import refuse_thread
from ccr.protocol.chat_content import has_value
from ccr.protocol.chat_from_messages import BILLING_PREFIX
from ccr.protocol.native_blocks import BlockSanitizer, text_block
from ccr.protocol.native_body import NativeBody, body_from_json
from ccr.protocol.native_json import STRING, JsonObject, decoded, encode, raw
from ccr.protocol.native_messages import tool_loop_start, turns_from_messages, without_thinking
from ccr.protocol.native_options import OPTIONS, native_options, options_from_json
from ccr.protocol.native_rules import NativeRules
from ccr.protocol.native_tools import tool_choice_from_json, tools_from_json
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.traits import ModelTraits

PASSED_BETAS: Final = frozenset(
    {
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-1m-2025-08-07",
        "effort-2025-11-24",
        "extended-cache-ttl-2025-04-11",
        "fine-grained-tool-streaming-2025-05-14",
        "interleaved-thinking-2025-05-14",
        "output-128k-2025-02-19",
    }
)
"""Values of ``anthropic-beta`` that are sent on: those Databricks takes, for things still in the request.

Source: LiteLLM's table of beta headers per provider, entry ``databricks``; for the one-hour cache, the
launcher of Databricks (databricks.md §1). Betas whose fields are taken out (tool search, context management,
structured outputs, cache scope, system messages in the conversation …) would announce what is not there.
"""

_BILLING_START: Final = re.compile(b'"' + re.escape(BILLING_PREFIX.encode()))


class NativeConversion(NamedTuple):
    """A request for the native endpoint.

    rules: names of the rules applied, each once. stream: whether the client asked for a stream.
    has_attachments: there are images or documents in it, or were.
    """

    body: bytes
    rules: tuple[str, ...]
    stream: bool
    has_attachments: bool


class NativeRequest(NamedTuple):
    """A client's request, taken apart. parameters: as written; options: the same, parsed. unsent: by key."""

    body: NativeBody
    unsent: JsonObject
    parameters: JsonObject
    options: MessagesRequest

    @property
    def model(self) -> str:
        """The name of the model that the client asks for."""
        return self.options.model


def request_from_json(body: bytes) -> NativeRequest:
    """Return the request in a body.

    Raises RequestError (400) on what is no Messages request, with the key path.
    """
    given, unsent = body_from_json(body)
    parameters = given.given(OPTIONS)
    return NativeRequest(given, unsent, parameters, options_from_json(parameters))


def sanitized_request(body: bytes, *, model: str, traits: ModelTraits) -> NativeConversion:
    """Return the request for the endpoint named ``model``. Raises RequestError as `request_from_json`."""
    return sanitized(request_from_json(body), model=model, traits=traits)


def sanitized(given: NativeRequest, *, model: str, traits: ModelTraits) -> NativeConversion:
    """Return what is sent of a request; raises RequestError where something deeper in it is wrong."""
    body, unsent, parameters, request = given
    refuse_thread(body.thread)
    rules = NativeRules()
    sanitizer = BlockSanitizer(traits, rules)
    turns = turns_from_messages(body.messages, sanitizer, rules)
    loop_start = tool_loop_start(turns)
    may_budget = loop_start is None or turns[loop_start].has_thinking_first
    options = native_options(parameters, request, traits, rules, may_budget=may_budget)
    is_off = not options.is_thinking and "budget" in traits.thinking
    if is_off and sanitizer.has_thinking and loop_start is not None:
        turns = without_thinking(turns, loop_start, rules)
    tools = tools_from_json(body.tools, traits, sanitizer, rules)
    choice = tool_choice_from_json(body.tool_choice, tools, is_thinking=options.is_thinking, rules=rules)
    for key, value in unsent.items():
        if has_value(value):
            rules.add_dropped_field(key)
    sent = {
        **parameters,
        "model": model,
        "messages": [turn.as_json() for turn in turns],
        "system": _system(body.system, tools.notes + options.notes, sanitizer, rules),
        "tools": tools.tools or None,
        "tool_choice": choice,
        **body.given(("metadata",)),
        **options.changes,
    }
    data = encode({key: value for key, value in sent.items() if value is not None})
    return NativeConversion(data, rules.names(), bool(request.stream), sanitizer.has_attachments)


def beta_header(value: str | None) -> str | None:
    """Return the ``anthropic-beta`` header to send for the client's, None for none; see `PASSED_BETAS`."""
    given = [name.strip() for name in (value or "").split(",")]
    passed = dict.fromkeys(name for name in given if name in PASSED_BETAS)
    return ",".join(passed) or None


def _system(
    system: str | list[JsonObject] | None, notes: list[str], sanitizer: BlockSanitizer, rules: NativeRules
) -> list[JsonObject] | None:
    """Return the system prompt, None for none; notes come last, behind every cache breakpoint."""
    given = [text_block(system)] if isinstance(system, str) else system or []
    blocks = [plain for block in given if (plain := _without_billing(block, rules)) is not None]
    kept, _ = sanitizer.blocks(blocks, "system")
    kept += [text_block(note) for note in notes]
    return kept or None


def _without_billing(block: JsonObject, rules: NativeRules) -> JsonObject | None:
    """Return the block without the client's attribution line, None when nothing else is in it.

    The line differs per conversation and comes first, so it would keep conversations from sharing a cache.
    """
    text = block.get("text")
    if text is None or not _BILLING_START.match(text):
        return block
    rules.add(RequestRule.BILLING_HEADER_DROPPED)
    rest = decoded(STRING, text, "system").partition("\n")[2]
    return {**block, "text": raw(rest)} if rest and not rest.isspace() else None
