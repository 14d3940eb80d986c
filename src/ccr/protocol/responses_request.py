"""The body of ``POST /v1/responses`` (OpenAI's Responses API), taken apart; errors name the parameter.

Parameters are checked by their types; what is in an item of the input is looked at by responses_input.py.
What only a service that keeps conversations can do is refused with what to do instead: ccr keeps none. Names
and shapes are those of https://platform.openai.com/docs/api-reference/responses and of the published client.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.anthropic import check_model_name, checked_text, refusal_of_body
from ccr.protocol.chat_content import has_value
from ccr.protocol.native_json import JsonObject
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules

Item = dict[str, Any]
_T = TypeVar("_T")

ENCRYPTED: Final = "reasoning.encrypted_content"
"""What a client includes that wants to hand reasoning back in its next request."""
LOGPROBS: Final = "message.output_text.logprobs"
HISTORY: Final = "ccr keeps no conversations. Send the whole history as `input`"
_SEND_ALL: Final = (
    f"{HISTORY}: what was said so far, the items of each `output` as they came, and the results of their "
    'calls; with `include: ["reasoning.encrypted_content"]` reasoning can be sent back, too.'
)
_REFUSED: Final = {
    "previous_response_id": f"no earlier response is known here: {_SEND_ALL}",
    "conversation": f"no conversation is known here: {_SEND_ALL}",
    "prompt": "prompts that are kept at OpenAI are not known here: send the text of it as `instructions`.",
}


class Reasoning(msgspec.Struct, frozen=True):
    """``reasoning``: how much thinking is wanted, and whether it is to be shown."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class Text(msgspec.Struct, frozen=True):
    """``text``: the form of the answer; ``format`` stays an object of opaque values."""

    format: JsonObject | None = None
    verbosity: str | None = None


class _StreamOptions(msgspec.Struct, frozen=True):
    include_obfuscation: bool | None = None


class ResponsesRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=False):
    """A request as decoded. items: the input, a text as the message it stands for.

    given: the parameters as they came, for the answer, which repeats them.
    """

    model: str
    items: list[Item]
    given: JsonObject
    instructions: str | None = None
    tools: list[JsonObject] | None = None
    tool_choice: str | Item | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: int | float | None = None
    top_p: int | float | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None
    stream: bool | None = None
    include: list[str] | None = None

    @property
    def is_reasoning_included(self) -> bool:
        """The client wants reasoning in a form that it can send back."""
        return ENCRYPTED in (self.include or ())

    @property
    def effort(self) -> str | None:
        """How much thinking is wanted, None where nothing is said."""
        return self.reasoning.effort if self.reasoning is not None else None

    @property
    def is_summary_wanted(self) -> bool:
        """The client wants to see what was thought."""
        wanted = self.reasoning
        return wanted is not None and (wanted.summary or wanted.generate_summary or "none") != "none"


_BODY: Final = msgspec.json.Decoder(JsonObject)
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "model": msgspec.json.Decoder(str),
    "input": msgspec.json.Decoder(str | list[Item]),
    "instructions": msgspec.json.Decoder(str | None),
    "tools": msgspec.json.Decoder(list[JsonObject] | None),
    "tool_choice": msgspec.json.Decoder(str | Item | None),
    "parallel_tool_calls": msgspec.json.Decoder(bool | None),
    "max_output_tokens": msgspec.json.Decoder(int | None),
    "temperature": msgspec.json.Decoder(int | float | None),
    "top_p": msgspec.json.Decoder(int | float | None),
    "reasoning": msgspec.json.Decoder(Reasoning | None),
    "text": msgspec.json.Decoder(Text | None),
    "stream": msgspec.json.Decoder(bool | None),
    "include": msgspec.json.Decoder(list[str] | None),
    # read, and answered with what is done about them
    "store": msgspec.json.Decoder(bool | None),
    "background": msgspec.json.Decoder(bool | None),
    "stream_options": msgspec.json.Decoder(_StreamOptions | None),
    "truncation": msgspec.json.Decoder(str | None),
    "max_tool_calls": msgspec.json.Decoder(int | None),
    "top_logprobs": msgspec.json.Decoder(int | None),
    "metadata": msgspec.json.Decoder(dict[str, str] | None),
}
FOR_THE_PROVIDER: Final = (
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
"""Parameters that chat completions have by the same names: they go on as they are."""
_KNOWN: Final = frozenset(_DECODERS) | frozenset(FOR_THE_PROVIDER) | frozenset(_REFUSED)
_KEPT: Final = frozenset(ResponsesRequest.__struct_fields__) - {"items", "given"}


def decode_responses_request(data: bytes) -> ResponsesRequest:
    """Return the request in a body. Raises RequestError (400) that names the parameter at fault."""
    given = value_at(_BODY, data, "")
    checked_text(data)
    for name in ("model", "input"):
        if name not in given:
            refuse(name, "Field required")
    for name, why in _REFUSED.items():
        if has_value(given.get(name, Raw(b"null"))):
            refuse(name, why)
    decoders = {name: decoder for name, decoder in _DECODERS.items() if name in given}
    values = {name: value_at(decoder, given[name], name) for name, decoder in decoders.items()}
    if values.get("background"):
        refuse("background", "nothing runs in the background here: leave it out, and ask with `stream`.")
    try:
        check_model_name(values["model"])
    except RequestError as error:
        raise RequestError(error.message, param="model") from None
    limit = values.get("max_output_tokens")
    if limit is not None and limit < 1:
        refuse("max_output_tokens", "must be at least 1")
    written = values["input"]
    items = [{"role": "user", "content": written}] if isinstance(written, str) else written
    if not items:
        refuse("input", "at least one item is required")
    kept = {name: value for name, value in values.items() if name in _KEPT}
    return ResponsesRequest(items=items, given=given, **kept)


def note_dropped_parameters(request: ResponsesRequest, rules: ResponsesRules) -> None:
    """Note each parameter that is sent to nobody."""
    given = request.given

    def value(name: str) -> Any:
        return _DECODERS[name].decode(given[name]) if name in given else None

    if value("store"):
        rules.add(ResponsesRule.STORE_DROPPED)
    if value("truncation") not in (None, "disabled"):
        rules.add(ResponsesRule.TRUNCATION_DROPPED)
    if value("max_tool_calls") is not None:
        rules.add(ResponsesRule.MAX_TOOL_CALLS_DROPPED)
    if value("metadata"):
        rules.add(RequestRule.METADATA_DROPPED)
    options = value("stream_options")
    if options is not None and options.include_obfuscation:
        rules.add(ResponsesRule.OBFUSCATION_DROPPED)
    included = set(request.include or ())
    if value("top_logprobs") or LOGPROBS in included:
        rules.add(ResponsesRule.LOGPROBS_DROPPED)
    if included - {ENCRYPTED, LOGPROBS}:
        rules.add(ResponsesRule.INCLUDE_DROPPED)
    if has_value(given.get("context_management", Raw(b"null"))):
        rules.add(RequestRule.CONTEXT_MANAGEMENT_DROPPED)
    if any(has_value(given[name]) for name in given if name not in _KNOWN | {"context_management"}):
        rules.add(RequestRule.UNKNOWN_FIELDS_DROPPED)


def refuse(param: str, why: str) -> NoReturn:
    """Raise the RequestError (400) for a parameter. param: the keys to it, as ``input.0.content``."""
    raise RequestError(f"{param}: {why}", param=param)


def value_at(decoder: msgspec.json.Decoder[_T], data: bytes | Raw, where: str) -> _T:
    """Return the value of some JSON. Raises RequestError (400) that names ``where``, the keys to it."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        refusal = refusal_of_body(error, where)
        param, colon, _ = refusal.message.partition(": ")
        named = param if where and colon and " " not in param else where or None
        raise RequestError(refusal.message, param=named) from None
