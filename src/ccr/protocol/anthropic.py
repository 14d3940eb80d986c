"""The Anthropic Messages request as ccr reads it: lenient structs, strict refusals.

Only what a conversion looks at is named; subtrees that are merely moved (tool schemas, tool inputs) stay
``msgspec.Raw``: byte for byte what the client wrote, numbers, key order and Unicode included.
Keys of blocks and tools that are not named here are ignored; a body with unknown keys of its own shows in
the type of the result (`ExtendedMessagesRequest`). This module knows no target and no routing.
"""

from __future__ import annotations

import re
from typing import Literal, cast

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.message_memory import MessageMemory
from ccr.protocol.tool_memory import MAX_ENTRY_BYTES, Memory

ABSENT = Raw(b"")
"""Value of an opaque field that the client did not send; falsy."""


class Source(msgspec.Struct, gc=False):
    """Where an image's or a document's bytes are: ``base64``, ``url``, ``text``, ``content`` or ``file``."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


class Block(msgspec.Struct, gc=False):
    """One content block of any type; which fields are set depends on ``type``."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    tool_use_id: str | None = None
    content: str | list[Block] | Block | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    url: str | None = None
    tool_name: str | None = None
    citations: Raw = ABSENT
    cache_control: dict[str, Raw] | None = None


class InputMessage(msgspec.Struct, gc=False):
    """One message; ``system`` inside the conversation is what newer clients send for reminders."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(msgspec.Struct, gc=False):
    """A tool definition; a ``type`` other than ``custom`` is a server tool (``web_search_20250305`` …)."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    cache_control: dict[str, Raw] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    input_examples: Raw = ABSENT
    eager_input_streaming: bool | None = None
    allowed_callers: Raw = ABSENT

    @property
    def is_server_tool(self) -> bool:
        """Whether Anthropic defines the tool (and mostly runs it) instead of the client."""
        return self.type is not None and self.type != "custom"


class ToolChoice(msgspec.Struct, gc=False):
    """Which tool the model may or must call."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, gc=False):
    """The ``thinking`` parameter; ``type`` is ``enabled``, ``adaptive`` or ``disabled``, or a newer word."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(msgspec.Struct, gc=False):
    """A wanted shape of the answer: ``json_schema`` with its schema."""

    type: str
    schema: Raw = ABSENT


class OutputConfig(msgspec.Struct, gc=False):
    """The ``output_config`` parameter."""

    effort: str | None = None
    format: OutputFormat | None = None


class MessagesRequest(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The body of ``POST /v1/messages``. ``max_tokens`` may be missing (count_tokens never has it)."""

    model: str
    messages: list[InputMessage]
    system: str | list[Block] | None = None
    raw_tools: Raw = msgspec.field(default=ABSENT, name="tools")
    tool_choice: ToolChoice | None = None
    max_tokens: int | None = None
    thinking: Thinking | None = None
    temperature: int | float | None = None
    top_p: int | float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    metadata: Raw = ABSENT
    context_management: Raw = ABSENT
    container: Raw = ABSENT
    mcp_servers: Raw = ABSENT
    service_tier: Raw = ABSENT
    cache_control: Raw = ABSENT
    thread: Raw = ABSENT

    @property
    def tools(self) -> list[Tool] | None:
        """The tools; not to be changed, since later requests share them. Raises RequestError."""
        return tools_from_json(bytes(self.raw_tools)) if self.raw_tools else None


class ExtendedMessagesRequest(MessagesRequest, gc=False, forbid_unknown_fields=False):
    """A request with top-level keys that this program does not know; their values are not kept."""


class _Taken(MessagesRequest, gc=False, forbid_unknown_fields=True):
    messages: list[Raw]  # type: ignore[assignment] # until they are decoded, one by one


class _ExtendedTaken(ExtendedMessagesRequest, gc=False, forbid_unknown_fields=False):
    messages: list[Raw]  # type: ignore[assignment] # as above


_DECODER = msgspec.json.Decoder(_Taken)
_MESSAGE_DECODER = msgspec.json.Decoder(InputMessage)
_TOOLS_DECODER = msgspec.json.Decoder(list[Tool] | None)
_TOOLS_SEEN: Memory[bytes, list[Tool]] = Memory()
_EXTENDED_DECODER = msgspec.json.Decoder(_ExtendedTaken)

_EXPECTED = re.compile(r"Expected (?P<wanted>.+), got (?P<got>.+)")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_PLAIN_WORDS = {
    "`str`": "string",
    "`int`": "integer",
    "`float`": "number",
    "`bool`": "boolean",
    "`array`": "list",
    "`object`": "object",
    "`null`": "null",
}
_MODEL_MAX_CHARS = 256
MAX_MESSAGES = 100_000
"""Anthropic's own limit of a request; millions of empty ones would keep the loop for a third of a second."""
_SEPARATORS = re.compile(r"[/\\,]")


def decode_messages_request(data: bytes) -> MessagesRequest:
    """Return the request of a ``POST /v1/messages`` body.

    Raises RequestError (400, ``invalid_request_error``) on anything that is not such a request: no JSON,
    invalid UTF-8, NaN, lone surrogates, nesting too deep, wrong types (with the key path), no messages, a
    bad model name. Subtrees kept as Raw are checked for UTF-8 only when they are used (`checked_text`).
    """
    request = _decode(data)
    if request.raw_tools:
        tools_from_json(bytes(request.raw_tools))
    if not request.messages:
        raise RequestError("messages: at least one message is required")
    check_parameters(request)
    refuse_thread(request.thread)
    return request


def tools_from_json(data: bytes) -> list[Tool] | None:
    """Return the tools of a request's ``tools``. Raises RequestError (400) with the key path."""
    tools = _TOOLS_SEEN.get(data)
    if tools is None:
        try:
            tools = _TOOLS_DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refusal_of_body(error, "tools") from None
        if tools is not None and len(data) <= MAX_ENTRY_BYTES:
            _TOOLS_SEEN.put(data, tools)
    return tools


def decode_count_request(data: bytes) -> MessagesRequest:
    """Return the request of a ``POST /v1/messages/count_tokens`` body; errors as for messages."""
    return decode_messages_request(data)


def check_parameters(request: MessagesRequest) -> None:
    """Refuse parameters of the right type and an impossible value. Raises RequestError (400)."""
    check_model_name(request.model)
    if request.max_tokens is not None and request.max_tokens < 1:
        raise RequestError("max_tokens: must be greater than or equal to 1")


def refuse_thread(thread: Raw) -> None:
    """Refuse a conversation of which the server is to hold the history: nobody does here.

    A request that goes on with one has only its last messages, so that dropping the field would lose the
    rest. The details are those by which Anthropic's clients turn to sending the whole history (observed with
    the Python client 2.12: ``tool_runner`` and ``thread``). Raises RequestError (400).
    """
    if thread and bytes(thread) != b"null":
        raise RequestError(
            "thread: the upstream holds no conversations; send the whole history in `messages`",
            details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
        )


def check_model_name(model: str) -> None:
    """Refuse model names that are more than a name: URLs, control characters, ``..`` as a path segment."""
    if not model or model.isspace():
        raise RequestError("model: must not be empty")
    if len(model) > _MODEL_MAX_CHARS:
        raise RequestError(f"model: must not be longer than {_MODEL_MAX_CHARS} characters")
    if not model.isprintable():
        raise RequestError("model: must not contain control characters")
    if "://" in model or model.startswith("//"):
        raise RequestError("model: must be a name, not a URL")
    if ".." in _SEPARATORS.split(model):
        raise RequestError("model: must not contain `..` as a path segment")


def _decode(data: bytes) -> MessagesRequest:
    try:
        try:
            taken: _Taken | _ExtendedTaken = _DECODER.decode(data)
        except msgspec.ValidationError as error:
            if "contains unknown field" not in str(error):
                raise
            taken = _EXTENDED_DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error) from None
    request = cast("MessagesRequest", taken)
    if len(taken.messages) > MAX_MESSAGES:
        raise RequestError(f"messages: at most {MAX_MESSAGES} messages are taken, got {len(taken.messages)}")
    written = [bytes(message) for message in taken.messages]
    request.messages = _MESSAGES_SEEN.decoded(written, _message_from_json)
    return request


def _message_from_json(data: bytes, index: int) -> InputMessage:
    try:
        return _MESSAGE_DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error, f"messages.{index}") from None


_MESSAGES_SEEN: MessageMemory[InputMessage] = MessageMemory()


def is_remembered(messages: list[InputMessage], count: int) -> bool:
    """Whether the first ``count`` messages will be the same objects when the client sends them again."""
    return _MESSAGES_SEEN.holds(messages, count)


def checked_text(data: bytes | Raw) -> str:
    """Return the text of bytes that msgspec passed over unread; RequestError when they are not UTF-8."""
    try:
        return bytes(data).decode()
    except UnicodeDecodeError as error:
        raise refusal_of_body(error) from None


def refusal_of_body(
    error: msgspec.DecodeError | UnicodeDecodeError | RecursionError, where: str = ""
) -> RequestError:
    """Return the 400 for a body that msgspec refused, worded as Anthropic words it: ``key.path: what``.

    where: key path of the subtree that was decoded, empty for the whole body.
    """
    if isinstance(error, UnicodeDecodeError):
        return RequestError("The request body is not valid JSON: invalid UTF-8")
    if isinstance(error, RecursionError):
        return RequestError("The request body is not valid JSON: nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        return RequestError(f"The request body is not valid JSON: {error}")
    text, _, path = str(error).partition(" - at `$")
    keys = where + path.removesuffix("`").replace("[", ".").replace("]", "")
    missing = _MISSING.fullmatch(text)
    if missing is not None:
        keys = f"{keys}.{missing['name']}"
        text = "Field required"
    else:
        text = _EXPECTED.sub(_plain_expectation, text).replace("Invalid enum value", "unexpected value")
    return RequestError(f"{keys.strip('.') or 'body'}: {text}")


def _plain_expectation(match: re.Match[str]) -> str:
    names = [f"`{name}`" for name in match["wanted"].strip("`").split(" | ") if name != "null"]
    wanted = " or ".join(_PLAIN_WORDS.get(name, name) for name in names) or "null"
    return f"Input should be a valid {wanted}, got {_PLAIN_WORDS.get(match['got'], match['got'])}"
